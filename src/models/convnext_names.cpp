#include "models/convnext_names.h"

#include <algorithm>
#include <span>
#include <string_view>

#include <fmt/format.h>

namespace trainyard {
namespace {

struct Renamed {
  std::string_view timm;  // the beginning of a name
  std::string_view torchvision;
};

constexpr Renamed outer[] = {{"stem.0.", "features.0.0."},
                             {"stem.1.", "features.0.1."},
                             {"head.norm.", "classifier.0."},
                             {"head.fc.", "classifier.2."}};
constexpr Renamed of_block[] = {{"conv_dw.", "block.0."},
                                {"norm.", "block.2."},
                                {"mlp.fc1.", "block.3."},
                                {"mlp.fc2.", "block.5."},
                                {"gamma", "layer_scale"}};

// Empty if no beginning is that of `name`.
std::string renamed(std::string_view name, std::span<const Renamed> beginnings) {
  for (const auto& [timm, torchvision] : beginnings) {
    if (name.starts_with(timm)) return fmt::format("{}{}", torchvision, name.substr(timm.size()));
  }
  return "";
}

// Removes `prefix` from `name` if it begins with it.
bool remove_prefix(std::string_view& name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return false;
  name.remove_prefix(prefix.size());
  return true;
}

// Removes a number of one or two digits and the dot behind it, and returns the number.
std::string_view take_number(std::string_view& name) {
  const std::size_t dot = name.find('.');
  const std::string_view number = name.substr(0, dot);
  const bool is_number = number.size() == 1 || number.size() == 2;
  if (dot == std::string_view::npos || !is_number || number.find_first_not_of("0123456789") != number.npos) return "";
  name.remove_prefix(dot + 1);
  return number;
}

}  // namespace

std::string torchvision_name(const std::string& name) {
  if (std::string own = renamed(name, outer); !own.empty()) return own;
  std::string_view rest = name;
  if (!remove_prefix(rest, "stages.")) return name;
  const std::string_view stage = take_number(rest);
  if (stage.size() != 1) return name;
  const int index = stage.front() - '0';
  if (remove_prefix(rest, "downsample.")) return fmt::format("features.{}.{}", 2 * index, rest);
  if (!remove_prefix(rest, "blocks.")) return name;
  const std::string_view block = take_number(rest);
  const std::string own = renamed(rest, of_block);
  return block.empty() || own.empty() ? name : fmt::format("features.{}.{}.{}", 2 * index + 1, block, own);
}

std::string convnext_variant(const NamedTensors& tensors) {
  const auto any = [&](auto matches) {
    return std::any_of(tensors.begin(), tensors.end(), [&](const auto& entry) { return matches(entry.first); });
  };
  const auto has = [&](std::string_view name) { return any([&](const std::string& other) { return other == name; }); };
  if (has("stem.2.weight")) return "a ConvNeXt with an overlapping stem (timm's convnext_*_ols)";
  if (has("norm_pre.weight")) return "a ConvNeXt that normalizes before it pools (timm's convnext_*_hnf)";
  if (any([](const std::string& name) { return name.ends_with(".mlp.grn.weight"); })) {
    return "a ConvNeXt V2 (timm's convnextv2_*)";
  }
  if (has("features.0.1.weight") && !has("features.0.1.bias")) {
    return "a ConvNeXt with norms of another kind (timm's convnext_*_rms)";
  }
  return "";
}

}  // namespace trainyard
