#include "loader_torch/image_decoder.h"

#include <numeric>

#include <fmt/format.h>

#include "util/count_of.h"

namespace trainyard {

std::string describe(const DecodeCounts& counts) {
  const std::uint64_t all = std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
  const std::uint64_t on_gpu = counts.at(static_cast<std::size_t>(DecodedBy::gpu));
  if (on_gpu == all) return "";
  std::string text;
  const auto add = [&](DecodedBy by, const char* what) {
    const std::uint64_t count = counts.at(static_cast<std::size_t>(by));
    if (count > 0) text += fmt::format("{}{} {}", text.empty() ? ": " : ", ", count, what);
  };
  add(DecodedBy::worker_other, "no JPEG");
  add(DecodedBy::worker_kind, "progressive or of another kind that the GPU does not decode");
  add(DecodedBy::worker_size, "too large for their place in the batch");
  add(DecodedBy::worker_transform, "scaled twice by the transforms");
  add(DecodedBy::trainer, "refused by nvJPEG");
  return fmt::format("the CPU decoded {} of {}{}", all - on_gpu, count_of(all, "image"), text);
}

}  // namespace trainyard
