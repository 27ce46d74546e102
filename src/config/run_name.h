/// Fills in the placeholders of run.name.
#pragma once

#include "config/config.h"

namespace trainyard {

/// Replaces each {key} in run.name by the value of that setting: "{model.name}-{train.seed}" becomes "resnet18-7".
/// Throws UsageError if a key is unknown, not used by the configuration, or run.name itself, or if a brace has no
/// partner.
void expand_run_name(Config& config);

}  // namespace trainyard
