// trainyard list: lists the available components.

#include "commands/catalog.h"
#include "commands/columns.h"
#include "commands/command.h"
#include "models/model.h"
#include "models/stages.h"
#include "util/error.h"
#include "util/output.h"

namespace trainyard {
namespace {

void print_entries(const CatalogSection& section) {
  print("{}\n", section.kind);
  for (const auto& [name, description] : section.entries) print_text(row(name, description, 22, terminal_columns()));
}

// Images as in the tables of torchvision and timm; a table's row; texts with GPT-2's vocabulary.
constexpr ImageShape image_net{.channels = 3, .height = 224, .width = 224};
constexpr std::int64_t image_net_classes = 1000;
constexpr std::int64_t table_columns = 100;
constexpr std::int64_t text_tokens = 256;
constexpr std::int64_t text_vocabulary = 50257;

struct ExampleModel {
  std::shared_ptr<Model> model;
  ModelInput input;
};

// Built for the first of these inputs that the model accepts.
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
      continue;  // it takes another kind of samples
    }
  }
  return {make_model({.name = name}, texts), texts};
}

void print_models_with_sizes() {
  const std::size_t columns = terminal_columns();
  const std::string heading =
      fmt::format("models, for {}×{} images of {} classes, rows of {} columns, or texts of {} tokens", image_net.height,
                  image_net.width, image_net_classes, table_columns, text_tokens);
  print("{}\n  {:<20}{:>14}{:>18}\n", wrapped(heading, 0, 0, columns), "", "parameters", "multiply-adds");
  for (const std::string& name : ModelRegistry::names()) {
    const auto [model, input] = example_model(name);
    const std::int64_t parameters = parameter_count(*model);
    const std::string sizes = fmt::format("{:<20}{:>12.2f} M{:>16.2f} G", name, static_cast<double>(parameters) / 1e6,
                                          static_cast<double>(multiply_adds(*model, input)) / 1e9);
    print_text(row(sizes, ModelRegistry::find(name).description, sizes.size(), columns));
    print_text(row("", "stages " + names_of(model->stages()), 20, columns));
  }
}

class ListCommand : public Command {
 public:
  void bind(Arguments& arguments) override {
    std::vector<std::string> kinds;
    for (const CatalogSection& section : catalog()) kinds.push_back(section.kind);
    arguments.add("kind", kind_, "list only one of these", {.one_of = kinds});
    arguments.add("-v,--verbose", verbose_, "also show the models' parameters, multiply-adds and stages");
  }

  bool uses(const std::string& /*key*/) const override { return false; }

  int run(const Config&) override {
    for (const CatalogSection& section : catalog()) {
      if (!kind_.empty() && kind_ != section.kind) continue;
      if (verbose_ && section.kind == "models") {
        print_models_with_sizes();
      } else {
        print_entries(section);
      }
    }
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
