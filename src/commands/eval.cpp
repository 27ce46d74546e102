// trainyard eval: a checkpoint on the whole test split, or on val, as a table or as JSON.

#include <algorithm>
#include <numeric>

#include <nlohmann/json.hpp>

#include "checkpoint/checkpoint_folder.h"
#include "commands/command.h"
#include "commands/evaluate_checkpoint.h"
#include "commands/machine.h"
#include "commands/splits.h"
#include "util/json_text.h"
#include "util/output.h"
#include "util/printable.h"

namespace trainyard {
namespace {

constexpr std::size_t table_rows = 30;
constexpr std::size_t most_wrong = 10;
constexpr std::size_t longest_name = 60;

std::string figure(const std::optional<double>& share) { return share ? fmt::format("{:.4f}", *share) : "-"; }

class EvalCommand : public Command {
 public:
  void bind(Arguments& arguments) override {
    arguments.add("checkpoint", checkpoint_, "a run's folder, or one checkpoint of it", {.required = true});
    arguments.add("--split", split_, "test or val; if not given, test, or val if the data has no test",
                  {.one_of = {"test", "val"}});
    arguments.add("--json", json_, "everything as JSON, the confusion matrix too");
  }

  std::string checkpoint() const override { return checkpoint_; }

  int run(const Config& config) override {
    WorkerPool pool(pool_options(config), dataset_factory(config));  // forks: before CUDA, before any thread
    const CheckResult check = run_check(device_needs_of(config));
    const at::Device device = prepare_device(config, check);
    const CheckpointEvaluation result = with_explained_errors(check, device, [&] {
      const Split split = split_.empty() ? judging_split(pool) : split_ == "val" ? Split::val : Split::test;
      return evaluate_checkpoint(resolve_checkpoint(checkpoint_), pool, split, config, device, most_wrong);
    });
    if (json_) {
      write_output(json_text(to_json(result), 2) + "\n");
    } else {
      print_table(result);
    }
    return 0;
  }

 private:
  void print_table(const CheckpointEvaluation& result) const {
    const ClassificationReport& e = result.evaluation;
    const std::string split = to_string(result.split);
    print("{} on {} of {}, {}, {}\n", result.checkpoint.string(), split, result.dataset, result.device,
          result.precision);
    if (split_.empty() && result.split == Split::val) print("  {} has no test split\n", result.dataset);
    print("  {:<15}{:.4f} on all {} samples\n", split + "/accuracy", e.top1, e.samples);
    print("  {:<15}{:.4f}\n  {:<15}{:.4f}\n\n", split + "/top5", e.top5, split + "/loss", e.loss);

    std::vector<std::string> names;
    for (const std::string& name : result.manifest.class_names) names.push_back(printable(name, longest_name));
    const std::vector<ClassScores> scores = class_scores(e);
    std::vector<std::size_t> order(scores.size());
    std::iota(order.begin(), order.end(), 0);
    if (order.size() > table_rows) {
      std::stable_sort(order.begin(), order.end(),
                       [&](auto a, auto b) { return scores[a].recall.value_or(2) < scores[b].recall.value_or(2); });
      order.resize(table_rows);
      print("  the {} of {} classes that are recognised least (--json has all)\n", order.size(), scores.size());
    }
    std::size_t width = 5;
    for (const std::size_t i : order) width = std::max(width, names[i].size());
    print("  {:<{}}  {:>7}  {:>7}  {:>7}  {:>9}  {:>7}\n", "class", width, "images", "right", "recall", "precision",
          "F1");
    for (const std::size_t i : order) {
      const ClassScores& s = scores[i];
      print("  {:<{}}  {:>7}  {:>7}  {:>7}  {:>9}  {:>7}\n", names[i], width, s.samples, s.right, figure(s.recall),
            figure(s.precision), figure(s.f1));
    }
    if (e.worst.empty()) return;
    print("\n  most wrong\n");
    for (std::size_t i = 0; i < e.worst.size(); ++i) {
      const Mistake& mistake = e.worst[i];
      print("  {}  is {}, taken for {} ({:.1f} %)\n", result.worst_names[i],
            printable(names[static_cast<std::size_t>(mistake.label)]),
            printable(names[static_cast<std::size_t>(mistake.guess)]), 100 * mistake.guess_probability);
    }
  }

  std::string checkpoint_;
  std::string split_;
  bool json_ = false;
};

const CommandRegistry::Registration registered{"eval", "evaluate a checkpoint on the test split",
                                               [] { return std::make_unique<EvalCommand>(); }, __FILE__};

}  // namespace
}  // namespace trainyard
