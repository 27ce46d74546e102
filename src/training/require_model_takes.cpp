#include "training/require_model_takes.h"

#include <algorithm>

#include "models/check_forward.h"
#include "util/error.h"

namespace trainyard {
namespace {

bool have_same_shape(const Field& one, const Field& other) {
  const std::ptrdiff_t first = one.varies ? 1 : 0;
  return std::equal(one.shape.begin() + first, one.shape.end(), other.shape.begin() + first, other.shape.end());
}

bool have_same_shape_but_size(const Field& one, const Field& other) {
  return one.is_spatial() &&
         std::equal(one.shape.begin() + 2, one.shape.end(), other.shape.begin() + 2, other.shape.end());
}

}  // namespace

void require_model_takes(Model& model, const Config& config, const TaskData& trained, const std::vector<Field>& fields,
                         const std::string& samples) {
  const auto refuse = [&](const std::string& why) {
    throw UsageError("data.name", "{} have {}, and the model was made for {}{}", samples, describe(fields),
                     describe(trained.fields), why);
  };
  bool has_another_size = false;
  for (const Field& field : trained.fields) {
    const Field* const found = find_field(fields, field.name);
    if (found == nullptr || found->dtype != field.dtype || found->varies != field.varies ||
        found->shape.size() != field.shape.size()) {
      refuse("");
    }
    if (have_same_shape(field, *found)) continue;
    if (!have_same_shape_but_size(field, *found)) refuse("");
    has_another_size = true;
  }
  if (!has_another_size) return;
  TaskData data = trained;
  data.fields = fields;
  try {
    const std::unique_ptr<Task> task = make_task(config.task, data, model.parameters().front().device());
    check_forward(model, task->model_input(), config.model.name);
  } catch (const Error& error) {
    refuse(
        fmt::format(". It takes no other size: {}. Crop or resize images to one size with transform.train and "
                    "transform.test",
                    error.what()));
  }
}

void require_model_takes(Model& model, const Config& config, const std::vector<SplitInfo>& splits) {
  for (std::size_t split = 1; split < splits.size(); ++split) {
    require_model_takes(model, config, task_data(splits.front()), splits[split].fields,
                        fmt::format("samples of {}", to_string(static_cast<Split>(split))));
  }
}

}  // namespace trainyard
