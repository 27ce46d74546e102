#include "loader/cache_policy.h"

#include <algorithm>
#include <cctype>

#include "loader/sample_cache.h"
#include "util/error.h"

namespace trainyard {
namespace {

// With scaled decoding, an image's pixels would depend on whether it has been cached yet.
void refuse_scaled_decoding(const LoadedSplit& split) {
  const std::vector<Field>& fields = split.dataset->fields();
  const bool has_stored_images =
      std::any_of(fields.begin(), fields.end(), [](const Field& field) { return field.is_stored_image; });
  if (!has_stored_images || split.transforms.decode() != DecodeMode::scaled) return;
  throw UsageError("transform.decode",
                   "scaled decodes no more of an image than is needed, loader.cache = shm keeps whole ones; set "
                   "transform.decode = exact, or loader.cache = none");
}

void refuse_decoding_on_gpu(const LoadedSplit& split) {
  if (split.transforms.decode() != DecodeMode::gpu) return;
  throw UsageError("transform.decode",
                   "gpu decodes an image each time it is used, loader.cache keeps decoded ones; set transform.decode = "
                   "exact, or loader.cache = none");
}

void refuse_random_samples(const LoadedSplit& split, const PoolOptions& options, const char* name) {
  if (split.dataset->is_deterministic()) return;
  throw UsageError("loader.cache",
                   "{} keeps samples, and the dataset draws those of {} anew in each epoch, as windows of a text; set "
                   "loader.cache = none",
                   options.cache == SampleCache::shm ? "shm" : "gpu", name);
}

CachePlace cache_place(const PoolOptions& options, std::size_t split) {
  if (options.cache_name.empty()) return {options.directory, ""};
  const char* const split_name = to_string(static_cast<Split>(split));
  return {options.directory, fmt::format("trainyard-cache-{}-{}", options.cache_name, split_name)};
}

void refuse_changing_samples(const LoadedSplit& split, const char* name) {
  for (const Field& field : split.fields()) {
    if (!field.varies) continue;
    throw UsageError("loader.cache",
                     "gpu keeps samples of one size, and the field {} of {} varies; set loader.cache = "
                     "none (or shm)",
                     field.name, name);
  }
  const std::string transform = split.transforms.first_random_transform();
  if (transform.empty()) return;
  throw UsageError("loader.cache",
                   "gpu keeps samples as the transforms leave them, and '{}' of transform.{} is drawn anew in each "
                   "epoch; of such, only a random_horizontal_flip that comes last is done on the GPU. Set loader.cache "
                   "= none (or shm), or leave it out",
                   transform, name);
}

}  // namespace

void require_usable_cache_name(const PoolOptions& options) {
  const std::string& name = options.cache_name;
  if (!name.empty() && options.cache != SampleCache::shm) {
    throw UsageError("loader.cache_name", "only loader.cache = shm has a name; set that, or leave '{}' out", name);
  }
  const auto usable = [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.'; };
  if (!std::all_of(name.begin(), name.end(), usable) || name.size() > 100) {
    throw UsageError("loader.cache_name", "'{}' is not a name: up to 100 letters, digits, '-', '_' and '.'", name);
  }
}

void apply_cache(const PoolOptions& options, std::vector<LoadedSplit>& splits) {
  for (std::size_t i = 0; i < std::min(splits.size(), cached_splits); ++i) {
    const char* const name = to_string(static_cast<Split>(i));
    if (options.cache == SampleCache::none) continue;
    refuse_random_samples(splits[i], options, name);
    refuse_decoding_on_gpu(splits[i]);
    if (options.cache == SampleCache::gpu) {
      refuse_changing_samples(splits[i], name);
      continue;
    }
    refuse_scaled_decoding(splits[i]);
    splits[i].dataset = cached_in_shared_memory(std::move(splits[i].dataset), cache_place(options, i));
  }
}

}  // namespace trainyard
