/// Checks that a model trained on one split can be applied to the others.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"
#include "loader/split.h"
#include "models/model.h"
#include "tasks/task.h"

namespace trainyard {

/// Throws UsageError "data.name" unless `model`, made by `config` for the fields of `trained`, takes samples with
/// `fields`: the same fields with their types and shapes. Images and masks may have another height and width if a
/// forward pass works with it (models/check_forward.h); the lengths of samples that vary may differ. `samples`: what
/// has the fields, e.g. "samples of val". Changes nothing.
void require_model_takes(Model& model, const Config& config, const TaskData& trained, const std::vector<Field>& fields,
                         const std::string& samples);

/// The same for all splits but the first, train, which the model was made for.
void require_model_takes(Model& model, const Config& config, const std::vector<SplitInfo>& splits);

}  // namespace trainyard
