#include "training/require_shapes.h"

#include <algorithm>

#include "util/error.h"

namespace trainyard {

bool have_shapes_of(std::span<const Field> trained, std::span<const Field> fields) {
  return std::all_of(trained.begin(), trained.end(), [&](const Field& field) {
    const Field* const found = find_field(fields, field.name);
    if (found == nullptr || found->dtype != field.dtype || found->varies != field.varies) return false;
    const std::ptrdiff_t first = field.varies ? 1 : 0;
    return std::equal(found->shape.begin() + first, found->shape.end(), field.shape.begin() + first, field.shape.end());
  });
}

void require_shapes_of_train(const std::vector<SplitInfo>& splits) {
  const std::vector<Field>& train = splits.front().fields;
  for (std::size_t split = 1; split < splits.size(); ++split) {
    const std::vector<Field>& fields = splits[split].fields;
    if (have_shapes_of(train, fields)) continue;
    throw UsageError("data.name",
                     "samples of {} have {}, those of train {}, and a model takes one shape: crop or resize images to "
                     "one size with transform.train and transform.test",
                     to_string(static_cast<Split>(split)), describe(fields), describe(train));
  }
}

}  // namespace trainyard
