// trainyard eval: loss and accuracy of a checkpoint on the whole test set.

#include <fmt/format.h>

#include "checkpoint/checkpoint_folder.h"
#include "commands/command.h"
#include "commands/machine.h"
#include "commands/splits.h"
#include "training/evaluate.h"
#include "training/trained_model.h"

namespace trainyard {
namespace {

class EvalCommand : public Command {
 public:
  void bind(CLI::App& subcommand) override {
    subcommand.add_option("checkpoint", checkpoint_, "a run's folder, or one checkpoint of it")->required();
  }

  std::string checkpoint() const override { return checkpoint_; }

  int run(const Config& config) override {
    WorkerPool pool(pool_options(config), dataset_factory(config));  // forks: before CUDA, before any thread
    const CheckResult check = run_check(device_needs_of(config));
    const at::Device device = prepare_device(config, check);
    with_explained_errors(check, device, [&] { print_scores(config, pool, device); });
    return 0;
  }

 private:
  void print_scores(const Config& config, WorkerPool& pool, at::Device device) const {
    const std::filesystem::path path = resolve_checkpoint(checkpoint_);
    const TrainedModel trained = load_trained_model(path, device);
    DataLoader loader(pool, Split::test);
    if (loader.split().class_names != trained.manifest.class_names) {
      throw UsageError("data.name", "{} has other classes than the data that {} was trained on", config.data.name,
                       path.string());
    }
    const RegisteredMemory registered(device.is_cuda() ? pool.arena().memory() : std::span<std::byte>());
    const Scores scores = evaluate(*trained.model, loader, trained.normalize, device, config.train.precision);
    fmt::print("{} on {}, {}\n  test accuracy  {:.4f} on all {} test images\n  test loss      {:.4f}\n", path.string(),
               config.data.name, device.str(), scores.accuracy, scores.samples, scores.loss);
  }

  std::string checkpoint_;
};

const CommandRegistry::Registration registered{"eval", "evaluate a checkpoint on the test set",
                                               [] { return std::make_unique<EvalCommand>(); }, __FILE__};

}  // namespace
}  // namespace trainyard
