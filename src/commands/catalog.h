/// Lists what can be selected by name: the registered tasks, models, datasets, transforms, optimizers and schedules.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace trainyard {

struct CatalogSection {
  std::string kind;                                          ///< "models"
  std::vector<std::string> settings;                         ///< the keys that select one of them: "model.name"
  std::vector<std::pair<std::string, std::string>> entries;  ///< names and descriptions, sorted
};

std::vector<CatalogSection> catalog();

}  // namespace trainyard
