#include "tasks/mix.h"

#include <algorithm>
#include <cmath>

#include <ATen/ops/lerp.h>

#include "util/random.h"

namespace trainyard {
namespace {

// Samples Beta(alpha, alpha) by Jöhnk's method, in logarithms to avoid 0 / 0 for a small alpha.
double symmetric_beta(double alpha, RandomStream& random) {
  for (;;) {
    const double log_x = std::log(1 - random.uniform()) / alpha;
    const double log_y = std::log(1 - random.uniform()) / alpha;
    const double larger = std::max(log_x, log_y);
    const double log_sum = larger + std::log(std::exp(log_x - larger) + std::exp(log_y - larger));
    if (log_sum <= 0) return std::exp(log_x - log_sum);
  }
}

void set_share(TensorDict& batch, double share) {
  batch.set("share", at::full({}, share, batch.at("image").options().dtype(at::kFloat)));
}

void mixup(TensorDict& batch, double share) {
  const at::Tensor images = batch.at("image");
  batch.set("image", at::lerp(images.flip(0), images, share));
  set_share(batch, share);
}

// The rectangle has the image's aspect ratio and a random centre, and is clipped to the image; the share is computed
// from the clipped area.
void cutmix(TensorDict& batch, double share, RandomStream& random) {
  const at::Tensor images = batch.at("image");
  const std::int64_t height = images.size(2);
  const std::int64_t width = images.size(3);
  const auto interval = [&](std::int64_t extent) {
    const auto half = static_cast<std::int64_t>(std::sqrt(1 - share) * static_cast<double>(extent)) / 2;
    const auto centre = static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(extent)));
    return std::pair(std::max<std::int64_t>(centre - half, 0), std::min(centre + half, extent));
  };
  const auto [top, bottom] = interval(height);
  const auto [left, right] = interval(width);
  const at::Tensor box = images.slice(2, top, bottom).slice(3, left, right);
  box.copy_(box.flip(0));
  set_share(batch, 1 - static_cast<double>((bottom - top) * (right - left)) / static_cast<double>(height * width));
}

}  // namespace

void mix(TensorDict& batch, const std::string& target, double mixup_alpha, double cutmix_alpha, const BatchKey& key) {
  if (mixup_alpha == 0 && cutmix_alpha == 0) return;
  const at::NoGradGuard no_grad;
  RandomStream random(key_of({key.seed, key.epoch, key.number, key_of("mix")}));
  const bool cut = mixup_alpha == 0 || (cutmix_alpha != 0 && random.below(2) == 0);
  const double share = symmetric_beta(cut ? cutmix_alpha : mixup_alpha, random);
  batch.set("other_" + target, batch.at(target).flip(0));
  if (cut) {
    cutmix(batch, share, random);
  } else {
    mixup(batch, share);
  }
}

}  // namespace trainyard
