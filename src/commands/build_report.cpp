#include "commands/build_report.h"

#include <chrono>

#include <fmt/chrono.h>

#include "checkpoint/checkpoint_folder.h"
#include "commands/splits.h"
#include "images/encode_png.h"
#include "report/sample_image.h"
#include "util/output_file.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t picture_side = 160;

void add_pictures(nlohmann::json& mistakes, const LoadedSplit& split) {
  std::vector<std::vector<std::byte>> sample;
  std::vector<std::span<std::byte>> places;
  std::size_t image = 0;
  for (const Field& field : split.fields()) {
    if (field.name == "image") image = sample.size();
    sample.emplace_back(field.bytes());
  }
  for (std::vector<std::byte>& bytes : sample) places.emplace_back(bytes);
  for (nlohmann::json& mistake : mistakes) {
    split.read(mistake.at("index").get<std::size_t>(), /*seed=*/0, /*epoch=*/0, places);
    mistake["image"] = png_url(encode_png(thumbnail(sample_image(sample[image], split.fields()[image]), picture_side)));
  }
}

}  // namespace

std::optional<fs::path> checkpoint_to_report(const fs::path& run) {
  for (const char* const name : {"best", "last"}) {
    if (const auto checkpoint = linked(run / "checkpoints", name)) return fs::canonical(*checkpoint);
  }
  return std::nullopt;
}

RunReport build_report(const fs::path& run, const Config& config,
                       const std::function<CheckpointEvaluation()>& evaluate) {
  RunReport result{.record = read_run(run), .evaluation = nullptr, .note = ""};
  try {
    const CheckpointEvaluation evaluated = evaluate();
    result.evaluation = to_json(evaluated);
    result.evaluation["checkpoint"] = evaluated.checkpoint.filename().string();
    add_pictures(result.evaluation["worst"], load_split(config.data, config.transform, evaluated.split));
  } catch (const std::exception& error) {
    result.evaluation = nullptr;
    result.note = error.what();
  }
  return result;
}

void write_report(const fs::path& path, const std::vector<RunReport>& runs) {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  const std::string page = report_page(runs, fmt::format("{:%Y-%m-%d %H:%M} UTC", fmt::gmtime(now)));
  write_output_file(path, page, "report");
}

}  // namespace trainyard
