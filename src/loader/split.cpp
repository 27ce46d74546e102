#include "loader/split.h"

namespace trainyard {

std::vector<SplitInfo> describe(const std::vector<LoadedSplit>& splits) {
  std::vector<SplitInfo> result;
  for (const LoadedSplit& split : splits) {
    const Dataset& dataset = *split.dataset;
    const std::span<const LeftOut> left_out = split.from_train ? std::span<const LeftOut>() : dataset.left_out();
    result.push_back({.size = dataset.size(),
                      .sample = split.spec(),
                      .class_names = dataset.class_names(),
                      .fingerprint = dataset.fingerprint(),
                      .channel_mean = dataset.channel_mean(),
                      .channel_std = dataset.channel_std(),
                      .class_counts = dataset.class_counts(),
                      .left_out = {left_out.begin(), left_out.end()},
                      .from_train = split.from_train,
                      .mirror = split.transforms.mirror()});
  }
  return result;
}

}  // namespace trainyard
