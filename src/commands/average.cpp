// trainyard average: averages a run's last checkpoints into one that can be evaluated, predict, or initialize a run.

#include "checkpoint/average.h"

#include <fmt/ranges.h>

#include "checkpoint/checkpoint_writer.h"
#include "commands/command.h"
#include "util/output.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;

class AverageCommand : public Command {
 public:
  void bind(Arguments& arguments) override {
    arguments.add("run", run_, "a run's folder", {.required = true});
    arguments.add("--last", last_, "number of newest checkpoints to average; by default all that the run has kept",
                  {.range = {{2, 1'000'000}}});
  }

  bool product_is_output() const override { return false; }

  int run(const Config& /*config*/) override {
    if (!fs::exists(run_)) throw UsageError("average", "there is no run {}: no such file or folder", run_);
    std::vector<fs::path> checkpoints = step_folders(fs::path(run_) / "checkpoints");
    const std::size_t least = last_ == unset ? 2 : static_cast<std::size_t>(last_);
    if (checkpoints.size() < least) {
      throw UsageError("average", "{} has {} checkpoints, {} are to be averaged; train with checkpoint.keep = {}", run_,
                       checkpoints.size(), least, least);
    }
    if (last_ != unset) checkpoints.erase(checkpoints.begin(), checkpoints.end() - last_);
    const fs::path output = fs::path(run_) / "averaged";
    save_checkpoint(output, average_of(checkpoints), /*best=*/false, {.keep = 1});
    std::vector<std::string> names;
    for (const fs::path& path : checkpoints) names.push_back(path.filename().string());
    print("averaged {} checkpoints: {}\n  {}\n", names.size(), fmt::format("{}", fmt::join(names, ", ")),
          (output / "last").string());
    return 0;
  }

 private:
  static constexpr int unset = -1;

  std::string run_;
  int last_ = unset;
};

const CommandRegistry::Registration registered{"average", "average the weights of a run's last checkpoints",
                                               [] { return std::make_unique<AverageCommand>(); }, __FILE__};

}  // namespace
}  // namespace trainyard
