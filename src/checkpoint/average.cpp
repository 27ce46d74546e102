#include "checkpoint/average.h"

#include <fmt/ranges.h>

#include <ATen/ops/zeros_like.h>

#include "util/count_of.h"
#include "util/error.h"
#include "util/printable.h"
#include "util/torch.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;

NamedTensors evaluated_weights(const fs::path& checkpoint, const Manifest& manifest) {
  const char* const name = manifest.files.contains(Manifest::ema_file) ? Manifest::ema_file : Manifest::model_file;
  const Mapping file = map_verified(checkpoint, name, manifest.files.at(name));
  return parse_safetensors(file.bytes(), (checkpoint / name).string());
}

void require_same_model(const fs::path& first_path, const Manifest& first, const fs::path& path,
                        const Manifest& manifest) {
  if (first.model == manifest.model && first.task == manifest.task && first.class_names == manifest.class_names) return;
  throw UsageError("average", "{} holds {} for {} with {} classes, {} holds {} for {} with {}: they cannot be averaged",
                   first_path.string(), printable(first.model), printable(first.task), first.class_names.size(),
                   path.string(), printable(manifest.model), printable(manifest.task), manifest.class_names.size());
}

void require_same_tensors(const NamedTensors& sums, const NamedTensors& weights, const fs::path& path) {
  if (sums.size() != weights.size()) {
    throw UsageError("average", "{} has {}, those before it {}", path.string(), count_of(weights.size(), "tensor"),
                     sums.size());
  }
  for (std::size_t i = 0; i < sums.size(); ++i) {
    const auto& [name, tensor] = weights[i];
    if (name == sums[i].first && tensor.sizes() == sums[i].second.sizes()) continue;
    throw UsageError("average", "{}: '{}' is of {}, in the checkpoints before it '{}' is of {}", path.string(),
                     printable(name), fmt::join(tensor.sizes(), "×"), printable(sums[i].first),
                     fmt::join(sums[i].second.sizes(), "×"));
  }
}

}  // namespace

Checkpoint average_of(std::span<const fs::path> checkpoints) {
  Checkpoint result;
  NamedTensors sums;
  for (const fs::path& path : checkpoints) {
    Manifest manifest = read_manifest(path);
    NamedTensors weights = evaluated_weights(path, manifest);
    if (!sums.empty()) {
      require_same_model(checkpoints.front(), result.manifest, path, manifest);
      require_same_tensors(sums, weights, path);
    }
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const at::Tensor& tensor = weights[i].second;
      if (&path == &checkpoints.front()) sums.emplace_back(weights[i].first, at::zeros_like(tensor, at::kDouble));
      if (tensor.is_floating_point()) sums[i].second.add_(tensor.to(at::kDouble));
    }
    result.manifest = std::move(manifest);
    result.model = std::move(weights);
  }
  for (std::size_t i = 0; i < sums.size(); ++i) {
    at::Tensor& tensor = result.model[i].second;
    if (!tensor.is_floating_point()) continue;
    tensor = (sums[i].second / static_cast<double>(checkpoints.size())).to(tensor.scalar_type());
  }
  result.manifest.window = {};
  return result;
}

}  // namespace trainyard
