#include "commands/catalog.h"

#include "datasets/dataset.h"
#include "models/model.h"
#include "optim/optimizer.h"
#include "optim/schedule.h"
#include "tasks/task.h"
#include "transforms/transform.h"

namespace trainyard {
namespace {

template <typename AnyRegistry>
CatalogSection section_of(const char* kind, std::vector<std::string> settings) {
  CatalogSection section{.kind = kind, .settings = std::move(settings), .entries = {}};
  for (const std::string& name : AnyRegistry::names()) {
    section.entries.emplace_back(name, AnyRegistry::find(name).description);
  }
  return section;
}

}  // namespace

std::vector<CatalogSection> catalog() {
  return {section_of<TaskRegistry>("tasks", {"task.name"}),
          section_of<ModelRegistry>("models", {"model.name"}),
          section_of<DatasetRegistry>("datasets", {"data.name"}),
          section_of<TransformRegistry>("transforms", {"transform.train", "transform.test"}),
          section_of<OptimizerRegistry>("optimizers", {"optimizer.name"}),
          section_of<ScheduleRegistry>("schedules", {"schedule.name"})};
}

}  // namespace trainyard
