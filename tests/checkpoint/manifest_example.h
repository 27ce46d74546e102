/// Builds manifests for tests.
#pragma once

#include <span>
#include <string>

#include <nlohmann/json.hpp>

#include "checkpoint/manifest.h"

namespace trainyard {

/// Returns a valid manifest of step `step`, with ten steps per epoch; write_checkpoint fills in its files.
inline Manifest valid_manifest(std::int64_t step) {
  Manifest manifest;
  manifest.step = step;
  manifest.epoch = step / 10;
  manifest.task = "classification";
  manifest.model = "convnet";
  manifest.dataset = "synthetic";
  manifest.class_names = {"cat", "dog"};
  manifest.fields = {{.name = "image", .shape = {28, 28, 1}},
                     {.name = "label", .dtype = DType::int64, .values = ValueRange{.count = 2}}};
  manifest.channel_mean = {0.5f};
  manifest.channel_std = {0.25f};
  manifest.config = "[train]\nepochs = 5\n";
  manifest.val = {.samples = 10, .share = 0.1, .from_train = true, .fingerprint = 1};
  manifest.best.monitor = "val/accuracy";
  return manifest;
}

/// Returns the text of a changed manifest with a correct checksum.
inline std::string sealed(nlohmann::json manifest) {
  manifest.erase("manifest_crc32");
  const std::string text = manifest.dump();
  manifest["manifest_crc32"] = fmt::format("{:08x}", crc32_of(std::as_bytes(std::span(text))));
  return manifest.dump();
}

/// JSON values, most of them invalid for every count, fraction or size of a manifest.
inline const std::vector<nlohmann::json>& hostile_numbers() {
  static const std::vector<nlohmann::json> numbers = {-1,
                                                      0,
                                                      1,
                                                      2,
                                                      3,
                                                      1000,
                                                      0.5,
                                                      1e18,
                                                      9223372036854775808u,
                                                      18446744073709551615u,
                                                      1e300,
                                                      -1e300,
                                                      1e-320,
                                                      "nan",
                                                      "inf",
                                                      "-inf",
                                                      "text",
                                                      nullptr,
                                                      true,
                                                      nlohmann::json::array(),
                                                      nlohmann::json::object()};
  return numbers;
}

/// Returns the positions of all numbers in `value`.
inline std::vector<nlohmann::json::json_pointer> places_of_numbers(const nlohmann::json& value) {
  std::vector<nlohmann::json::json_pointer> places;
  const nlohmann::json flat = value.flatten();
  for (const auto& [place, item] : flat.items()) {
    if (item.is_number()) places.emplace_back(place);
  }
  return places;
}

}  // namespace trainyard
