#include "loader/cache_policy.h"

#include <algorithm>
#include <cctype>

#include "datasets/image_dataset.h"
#include "loader/sample_cache.h"
#include "util/error.h"

namespace trainyard {
namespace {

// Else a picture's pixels would depend on whether it has been kept yet.
void refuse_scaled_decoding(const LoadedSplit& split) {
  const bool pictures = dynamic_cast<const ImageDataset*>(split.dataset.get()) != nullptr;
  if (!pictures || split.transforms.decode() == DecodeMode::exact) return;
  throw UsageError("transform.decode",
                   "scaled decodes no more of a picture than is needed, loader.cache = shm keeps whole ones; set "
                   "transform.decode = exact, or loader.cache = none");
}

CachePlace cache_place(const PoolOptions& options, std::size_t split) {
  if (options.cache_name.empty()) return {options.directory, ""};
  const char* const split_name = to_string(static_cast<Split>(split));
  return {options.directory, fmt::format("trainyard-cache-{}-{}", options.cache_name, split_name)};
}

void refuse_changing_samples(const LoadedSplit& split, const char* name) {
  if (split.spec().varies) {
    throw UsageError("loader.cache", "gpu keeps samples of one size, those of {} vary; set loader.cache = none", name);
  }
  const std::string transform = split.transforms.first_drawn_anew();
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
    throw UsageError("loader.cache_name", "'{}' is no name: up to 100 letters, digits, '-', '_' and '.'", name);
  }
}

void apply_cache(const PoolOptions& options, std::vector<LoadedSplit>& splits) {
  for (std::size_t i = 0; i < std::min(splits.size(), cached_splits); ++i) {
    if (options.cache == SampleCache::shm) {
      refuse_scaled_decoding(splits[i]);
      splits[i].dataset = cached_in_shared_memory(std::move(splits[i].dataset), cache_place(options, i));
    }
    if (options.cache == SampleCache::gpu) refuse_changing_samples(splits[i], to_string(static_cast<Split>(i)));
  }
}

}  // namespace trainyard
