// Training on several ranks is training in one process with the same global batches: the gradients, the loss and the
// metrics of a step are sums over its samples, whichever rank has them. Only the order of the additions differs.
//
// The batches are of 7 samples, and the last one of an epoch has a single sample: no number of ranks divides a batch,
// and there are ranks without a sample. Steps are of two batches.

#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "checkpoint/safetensors_torch.h"
#include "support/ranks.h"
#include "support/subprocess.h"
#include "support/table_files.h"
#include "support/task_data.h"
#include "support/temp_dir.h"
#include "support/tiny_training.h"
#include "util/system.h"
#include "util/torch.h"

namespace trainyard {
namespace {

using Flags = std::vector<std::string>;

// What the rounding of float64, 1e-16 of a number, may add up to in 24 steps.
constexpr double float64_bound = 1e-12;

struct Case {
  const char* name;
  std::vector<int> worlds;  ///< numbers of ranks
  Flags flags;
};

// No batch norm, no dropout, and nothing that mixes samples: these depend on which samples a rank has.
std::vector<Case> tasks() {
  return {
      {"classification",
       {2, 3, 4},
       {"--data.name", "csv", "--data.root", "table", "--data.csv.label", "size", "--data.csv.ignore", "price",
        "--data.val", "9", "--model.name", "mlp", "--model.mlp.width", "16", "--task.classification.label_smoothing",
        "0.1", "--task.classification.auc", "true"}},
      {"multi_label",
       {3},
       {"--task.name", "multi_label", "--data.name", "image_labels", "--data.root", "labelled", "--data.channels", "1",
        "--data.val", "9", "--model.name", "linear"}},
      {"segmentation",
       {4},
       {"--task.name", "segmentation", "--data.name", "image_masks", "--data.root", "scenes", "--data.channels", "1",
        "--data.val", "9", "--model.name", "linear"}},
      {"regression", {2}, {"--task.name",       "regression", "--data.name",       "csv",  "--data.root",      "table",
                           "--data.csv.target", "price",      "--data.csv.ignore", "size", "--data.val",       "9",
                           "--model.name",      "mlp",        "--model.mlp.width", "16",   "--optimizer.name", "adamw",
                           "--optimizer.lr",    "0.003"}},
      {"language_model",
       {3},
       {"--task.name", "language_model", "--data.name", "text", "--data.root", "text", "--data.text.context", "16",
        "--model.name", "gpt", "--model.gpt.layers", "2", "--model.gpt.heads", "2", "--model.gpt.width", "16"}},
  };
}

void write_data(const TempDir& dir) {
  write_scenes(dir, "scenes", 87);
  write_labelled_pictures(dir, "labelled", 87);
  write_text(dir, "text", 1400);
  write_table(dir, "table/train.csv", 87);
}

// What is common to all, then the flags of a case, with the paths of `dir`, then `more`: the last one counts.
Flags flags_of(const Case& of, const TempDir& dir, const Flags& more) {
  Flags flags = {"--loader.batch_size",    "7",    "--train.accumulate", "2", "--optimizer.name",  "sgd",
                 "--optimizer.lr",         "0.05", "--train.log_every",  "1", "--train.ema_decay", "0.9",
                 "--train.clip_grad_norm", "0.5"};
  flags.insert(flags.end(), of.flags.begin(), of.flags.end());
  for (std::size_t i = 0; i < flags.size(); i += 2) {
    if (flags[i] == "--data.root") flags[i + 1] = dir / flags[i + 1];
  }
  flags.insert(flags.end(), more.begin(), more.end());
  return flags;
}

// By how much the largest of all differences exceeds the rounding of the largest number of its tensor.
double largest_difference(const NamedTensors& a, const NamedTensors& b) {
  EXPECT_EQ(a.size(), b.size());
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].first, b[i].first);
    const at::Tensor one = a[i].second.to(at::kDouble);
    const at::Tensor other = b[i].second.to(at::kDouble);
    EXPECT_TRUE(one.isfinite().all().item<bool>()) << a[i].first;
    if (one.numel() == 0) continue;
    const double scale = std::max(other.abs().max().item<double>(), 1e-3);
    const double difference = (one - other).abs().max().item<double>() / scale;
    if (difference > largest) largest = difference;
  }
  return largest;
}

bool are_equal(const NamedTensors& a, const NamedTensors& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i].first != b[i].first || !at::equal(a[i].second, b[i].second)) return false;
  }
  return true;
}

class OnSeveralRanks : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override { write_data(dir_); }

  // What each of `world` ranks has after training in float64.
  std::vector<NamedTensors> train_in_float64(int world, const Flags& more = {}, std::int64_t nan_in_batch = -1) {
    const std::string file = dir_ / fmt::format("of-{}-", world);
    std::vector<std::string> command = tiny_training(dir_ / "runs", "none", "4", flags_of(GetParam(), dir_, more));
    command[0] = TRAINYARD_RANK_PROGRAM;
    command[1] = "train_in_float64";
    command.insert(command.end(), {"--weights", file, "--nan_in_batch", std::to_string(nan_in_batch)});
    const Outcome outcome = run_ranks(world, command);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
    std::vector<NamedTensors> weights;
    for (int rank = 0; rank < world; ++rank) weights.push_back(load_safetensors(file + std::to_string(rank)));
    return weights;
  }

  TempDir dir_;
};

TEST_P(OnSeveralRanks, WeightsAndMetricsAreThoseOfOneProcessInFloat64) {
  const std::vector<NamedTensors> alone = train_in_float64(1);
  for (const int world : GetParam().worlds) {
    SCOPED_TRACE(fmt::format("{} ranks", world));
    const std::vector<NamedTensors> ranks = train_in_float64(world);
    EXPECT_LT(largest_difference(ranks[0], alone[0]), float64_bound);
    for (const NamedTensors& other : ranks) EXPECT_TRUE(are_equal(other, ranks[0])) << "the ranks differ";
  }
}

INSTANTIATE_TEST_SUITE_P(Tasks, OnSeveralRanks, testing::ValuesIn(tasks()),
                         [](const auto& instance) { return std::string(instance.param.name); });

}  // namespace
}  // namespace trainyard
