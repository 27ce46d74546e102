// trainyard list: what there is to choose from.

#include <fmt/format.h>

#include "commands/command.h"
#include "datasets/dataset.h"
#include "models/model.h"
#include "optim/optimizer.h"
#include "transforms/transform.h"

namespace trainyard {
namespace {

template <typename AnyRegistry>
void print_entries(const std::string& heading) {
  fmt::print("{}\n", heading);
  for (const std::string& name : AnyRegistry::names()) {
    fmt::print("  {:<24}{}\n", name, AnyRegistry::find(name).description);
  }
}

class ListCommand : public Command {
 public:
  void bind(CLI::App& subcommand) override {
    subcommand.add_option("kind", kind_, "one of these only")
        ->check(CLI::IsMember({"models", "datasets", "transforms", "optimizers"}));
  }

  int run(const Config&) override {
    const auto wanted = [this](const std::string& kind) { return kind_.empty() || kind_ == kind; };
    if (wanted("models")) print_entries<ModelRegistry>("models");
    if (wanted("datasets")) print_entries<DatasetRegistry>("datasets");
    if (wanted("transforms")) print_entries<TransformRegistry>("transforms");
    if (wanted("optimizers")) print_entries<OptimizerRegistry>("optimizers");
    return 0;
  }

 private:
  std::string kind_;
};

const CommandRegistry::Registration registered{"list", "show the models, datasets, transforms and optimizers there are",
                                               [] { return std::make_unique<ListCommand>(); }, __FILE__};

}  // namespace
}  // namespace trainyard
