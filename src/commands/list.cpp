// trainyard list: what there is to choose from.

#include "commands/command.h"
#include "datasets/dataset.h"
#include "models/stages.h"
#include "optim/optimizer.h"
#include "optim/schedule.h"
#include "tasks/task.h"
#include "transforms/transform.h"
#include "util/error.h"
#include "util/output.h"

namespace trainyard {
namespace {

template <typename AnyRegistry>
void print_entries(const std::string& heading) {
  print("{}\n", heading);
  for (const std::string& name : AnyRegistry::names()) {
    print("  {:<24}{}\n", name, AnyRegistry::find(name).description);
  }
}

// Images as the tables of torchvision and timm have them; a table's row; texts with GPT-2's vocabulary.
constexpr ImageShape image_net{.channels = 3, .height = 224, .width = 224};
constexpr std::int64_t image_net_classes = 1000;
constexpr std::int64_t table_columns = 100;
constexpr std::int64_t text_tokens = 256;
constexpr std::int64_t text_vocabulary = 50257;

struct ExampleModel {
  std::shared_ptr<Model> model;
  ModelInput input;
};

// For the first of these that the model takes.
ExampleModel example_model(const std::string& name) {
  const ModelInput images = image_input(image_net, image_net_classes);
  const ModelInput rows{
      .fields = {{.name = "numeric", .dtype = DType::float32, .shape = {table_columns}}}, .outputs = 1, .logits = {1}};
  const ModelInput texts{.fields = {{.name = "tokens", .dtype = DType::int32, .shape = {text_tokens}}},
                         .outputs = text_vocabulary,
                         .logits = {text_tokens, text_vocabulary}};
  for (const ModelInput& input : {images, rows}) {
    try {
      return {make_model({.name = name}, input), input};
    } catch (const UsageError&) {
      continue;  // it takes samples of another kind
    }
  }
  return {make_model({.name = name}, texts), texts};
}

void print_models_with_sizes() {
  print("models, for {}×{} images of {} classes, rows of {} columns, or texts of {} tokens\n  {:<20}{:>14}{:>18}\n",
        image_net.height, image_net.width, image_net_classes, table_columns, text_tokens, "", "parameters",
        "multiply-adds");
  for (const std::string& name : ModelRegistry::names()) {
    const auto [model, input] = example_model(name);
    const std::int64_t parameters = parameter_count(*model);
    print("  {:<20}{:>12.2f} M{:>16.2f} G  {}\n", name, static_cast<double>(parameters) / 1e6,
          static_cast<double>(multiply_adds(*model, input)) / 1e9, ModelRegistry::find(name).description);
    print("  {:<20}  stages {}\n", "", names_of(model->stages()));
  }
}

class ListCommand : public Command {
 public:
  void bind(Arguments& arguments) override {
    arguments.add("kind", kind_, "list only one of these",
                  {.one_of = {"tasks", "models", "datasets", "transforms", "optimizers", "schedules"}});
    arguments.add("-v,--verbose", verbose_, "also show the models' parameters, multiply-adds and stages");
  }

  int run(const Config&) override {
    const auto wanted = [this](const std::string& kind) { return kind_.empty() || kind_ == kind; };
    if (wanted("tasks")) print_entries<TaskRegistry>("tasks");
    if (wanted("models") && verbose_) print_models_with_sizes();
    if (wanted("models") && !verbose_) print_entries<ModelRegistry>("models");
    if (wanted("datasets")) print_entries<DatasetRegistry>("datasets");
    if (wanted("transforms")) print_entries<TransformRegistry>("transforms");
    if (wanted("optimizers")) print_entries<OptimizerRegistry>("optimizers");
    if (wanted("schedules")) print_entries<ScheduleRegistry>("schedules");
    return 0;
  }

 private:
  std::string kind_;
  bool verbose_ = false;
};

const CommandRegistry::Registration registered{"list",
                                               "list tasks, models, datasets, transforms, optimizers and schedules",
                                               [] { return std::make_unique<ListCommand>(); }, __FILE__};

}  // namespace
}  // namespace trainyard
