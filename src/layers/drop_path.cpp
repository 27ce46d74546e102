#include "layers/drop_path.h"

namespace trainyard {

double drop_path_of_block(double most, std::int64_t index, std::int64_t blocks) {
  return blocks == 1 ? 0 : most * static_cast<double>(index) / static_cast<double>(blocks - 1);
}

at::Tensor drop_path_factors(std::int64_t branches, const at::Tensor& x, double p) {
  if (p == 0) return {};
  std::vector<std::int64_t> sizes(static_cast<std::size_t>(x.dim()) + 1, 1);
  sizes[0] = branches;
  sizes[1] = x.size(0);
  return at::empty(sizes, x.options()).bernoulli_(1 - p).div_(1 - p);
}

}  // namespace trainyard
