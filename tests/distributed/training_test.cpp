// Training on several ranks is equivalent to training in one process with the same global batches: the gradients, the
// loss and the metrics of a step are sums over its samples, whichever rank has them. Only the order of additions
// differs.
//
// Batches have 7 samples, and the last one of an epoch a single sample, so no number of ranks divides a batch and some
// ranks have no sample. Each step accumulates two batches.

#include <chrono>
#include <cmath>
#include <filesystem>
#include <map>
#include <optional>
#include <sstream>
#include <thread>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>
#include <signal.h>

#include "checkpoint/safetensors_torch.h"
#include "support/named_tensors.h"
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

// Bound on the accumulated rounding of float64 (1e-16 relative) in 24 steps.
constexpr double float64_bound = 1e-12;
// The same for float32 (6e-8 relative) in up to 72 steps; the largest difference observed is 1e-6.
constexpr double float32_bound = 1e-5;

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
  write_labelled_images(dir, "labelled", 87);
  write_text(dir, "text", 1400);
  write_table(dir, "table/train.csv", 87);
}

// Returns the common flags, the flags of the case with paths in `dir`, and `more`; of equal flags the last one counts.
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

at::Tensor tensor_of(const NamedTensors& tensors, std::string_view name) {
  for (const auto& [one, tensor] : tensors) {
    if (one == name) return tensor;
  }
  throw RunError("test", "there is no tensor {}", name);
}

// The values of a line of metrics.jsonl or metrics.csv, except for times.
using Line = std::map<std::string, double>;

bool is_of_time(const std::string& name) { return name == "samples_per_second" || name == "data_wait"; }

std::vector<Line> lines_of(const std::string& jsonl) {
  std::vector<Line> result;
  std::istringstream lines(read_text_file(jsonl, "test"));
  for (std::string line; std::getline(lines, line);) {
    Line& values = result.emplace_back();
    const nlohmann::json object = nlohmann::json::parse(line);
    for (const auto& [name, value] : object.items()) {
      if (!is_of_time(name)) values[name] = value;
    }
  }
  return result;
}

std::vector<std::string> cells_of(const std::string& row) {
  std::vector<std::string> cells;
  std::istringstream text(row);
  for (std::string cell; std::getline(text, cell, ',');) cells.push_back(cell);
  return cells;
}

std::vector<Line> rows_of(const std::string& csv) {
  std::vector<Line> result;
  std::istringstream rows(read_text_file(csv, "test"));
  std::string row;
  std::getline(rows, row);
  const std::vector<std::string> names = cells_of(row);
  while (std::getline(rows, row)) {
    const std::vector<std::string> cells = cells_of(row);
    Line& values = result.emplace_back();
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (!is_of_time(names[i])) values[names[i]] = std::stod(cells.at(i));
    }
  }
  return result;
}

void expect_same_metrics(const std::vector<Line>& ours, const std::vector<Line>& expected) {
  ASSERT_EQ(ours.size(), expected.size());
  ASSERT_FALSE(ours.empty());
  for (std::size_t i = 0; i < ours.size(); ++i) {
    ASSERT_EQ(ours[i].size(), expected[i].size());
    for (const auto& [name, value] : expected[i]) {
      EXPECT_NEAR(ours[i].at(name), value, float32_bound * std::max(std::abs(value), 1.0)) << name << " of line " << i;
    }
  }
}

class SeveralRanks : public testing::Test {
 protected:
  void SetUp() override { write_data(dir_); }

  std::vector<std::string> command(const Case& of, const std::string& run, const std::string& epochs,
                                   const Flags& more = {}) const {
    return tiny_training(dir_ / "runs", run, epochs, flags_of(of, dir_, more));
  }

  // Returns the tensors of each of `world` ranks after training in float64.
  std::vector<NamedTensors> train_in_float64(const Case& of, int world, const Flags& more = {},
                                             std::int64_t nan_in_batch = -1) const {
    const std::string file = dir_ / fmt::format("of-{}-", world);
    std::vector<std::string> words = command(of, "none", "4", more);
    words[0] = TRAINYARD_RANK_PROGRAM;
    words[1] = "train_in_float64";
    words.insert(words.end(), {"--weights", file, "--nan_in_batch", std::to_string(nan_in_batch)});
    const Outcome outcome = run_ranks(world, words);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
    std::vector<NamedTensors> weights;
    for (int rank = 0; rank < world; ++rank) weights.push_back(load_safetensors(file + std::to_string(rank)));
    return weights;
  }

  std::string folder(const std::string& run) const { return dir_ / ("runs/" + run); }

  NamedTensors saved(const std::string& run, const char* file = "model.safetensors") const {
    return load_safetensors(folder(run) + "/checkpoints/last/" + file);
  }

  // Stops `ranks` after an epoch, with SIGTERM to one of them or to all.
  static void stop(Ranks& ranks, std::size_t world, std::optional<std::size_t> one) {
    while (ranks[0].output_so_far().find("epoch 1/") == std::string::npos) {
      ASSERT_TRUE(ranks[0].is_running()) << ranks[0].output_so_far();
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    for (std::size_t rank = 0; rank < world; ++rank) {
      if (!one || rank == *one) ranks[rank].signal(SIGTERM);
    }
    const std::vector<Outcome> outcomes = ranks.wait();
    for (const Outcome& outcome : outcomes) ASSERT_EQ(outcome.exit_code, 128 + SIGTERM) << outcome.output;
    ASSERT_THAT(outcomes[0].output, testing::HasSubstr("stopped by signal 15 after step "));
  }

  TempDir dir_;
};

class OnSeveralRanks : public SeveralRanks, public testing::WithParamInterface<Case> {};

TEST_P(OnSeveralRanks, WeightsAndMetricsAreThoseOfOneProcessInFloat64) {
  const std::vector<NamedTensors> alone = train_in_float64(GetParam(), 1);
  for (const int world : GetParam().worlds) {
    SCOPED_TRACE(fmt::format("{} ranks", world));
    const std::vector<NamedTensors> ranks = train_in_float64(GetParam(), world);
    EXPECT_LT(largest_difference(ranks[0], alone[0]), float64_bound);
    for (const NamedTensors& other : ranks) EXPECT_TRUE(are_equal(other, ranks[0])) << "the ranks differ";
  }
}

TEST_P(OnSeveralRanks, TheRunIsThatOfOneProcess) {
  const Outcome alone = run_program(command(GetParam(), "alone", "4"));
  ASSERT_EQ(alone.exit_code, 0) << alone.output;
  const Outcome ranks = run_ranks(GetParam().worlds.front(), command(GetParam(), "ranks", "4"));
  ASSERT_EQ(ranks.exit_code, 0) << ranks.output;
  EXPECT_LT(largest_difference(saved("ranks"), saved("alone")), float32_bound);
  EXPECT_LT(largest_difference(saved("ranks", "ema.safetensors"), saved("alone", "ema.safetensors")), float32_bound);
  expect_same_metrics(lines_of(folder("ranks") + "/metrics.jsonl"), lines_of(folder("alone") + "/metrics.jsonl"));
  expect_same_metrics(rows_of(folder("ranks") + "/metrics.csv"), rows_of(folder("alone") + "/metrics.csv"));
}

INSTANTIATE_TEST_SUITE_P(Tasks, OnSeveralRanks, testing::ValuesIn(tasks()),
                         [](const auto& instance) { return std::string(instance.param.name); });

TEST_F(SeveralRanks, ALossOfNanOnOneRankChangesNothingOnAll) {
  const Case of = tasks()[0];
  const Flags skip = {"--train.on_nonfinite", "skip"};
  const NamedTensors alone = train_in_float64(of, 1, skip, /*nan_in_batch=*/2)[0];
  EXPECT_GT(largest_difference(alone, train_in_float64(of, 1, skip)[0]), float64_bound) << "no step was skipped";
  const std::vector<NamedTensors> ranks = train_in_float64(of, 2, skip, /*nan_in_batch=*/2);
  EXPECT_LT(largest_difference(ranks[0], alone), float64_bound);
  EXPECT_TRUE(are_equal(ranks[0], ranks[1]));
}

// The weights overflow.
TEST_F(SeveralRanks, AWarningThatAllRanksFindIsPrintedOnce) {
  const Flags diverging = {"--train.on_nonfinite",     "skip", "--optimizer.lr",    "1e6",
                           "--optimizer.weight_decay", "1e3",  "--train.ema_decay", "0",
                           "--train.clip_grad_norm",   "0"};
  const Outcome outcome = run_ranks(2, command(tasks()[0], "diverged", "4", diverging));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_EQ(count_of(outcome.output, "after epoch 4: the model has diverged"), 1) << outcome.output;
  EXPECT_EQ(count_of(outcome.output, "(epoch 4, batch 12 of 12, "), 1) << outcome.output;
}

// Each rank normalizes by its own samples. With a learning rate of 0 the weights do not change, so the running mean of
// the first layer equals that of one process; the running variances are close to it.
TEST_F(SeveralRanks, RunningStatisticsAreThoseOfAllRanks) {
  const Case of{"batch norm",
                {},
                {"--data.synthetic.samples", "72", "--data.val", "8", "--model.name", "convnet", "--loader.batch_size",
                 "16", "--optimizer.lr", "0"}};
  const std::vector<NamedTensors> ranks = train_in_float64(of, 2);
  EXPECT_TRUE(are_equal(ranks[0], ranks[1]));
  const NamedTensors alone = train_in_float64(of, 1)[0];
  std::size_t means = 0;
  for (std::size_t i = 0; i < alone.size(); ++i) {
    const auto& [name, expected] = alone[i];
    const at::Tensor& ours = ranks[0].at(i).second;
    if (name.ends_with("num_batches_tracked")) {
      EXPECT_TRUE(at::equal(ours, expected)) << name;
    }
    if (name.ends_with("running_var")) {
      EXPECT_LT((ours / expected - 1).abs().max().item<double>(), 0.3) << name;
    }
    if (name.ends_with("running_mean") && ++means == 1) {
      EXPECT_LT((ours - expected).abs().max().item<double>(), float64_bound) << name;
    }
  }
  EXPECT_GT(means, 0);
}

TEST_F(SeveralRanks, SynchronizedBatchNormGivesTheWeightsOfOneProcess) {
  const Case of{"batch norm",
                {},
                {"--data.synthetic.samples", "75", "--data.synthetic.shape", "16,16,1", "--data.val", "8",
                 "--model.name", "convnet", "--distributed.sync_batch_norm", "true"}};
  const NamedTensors alone = train_in_float64(of, 1)[0];
  for (const int world : {2, 3}) {
    SCOPED_TRACE(fmt::format("{} ranks", world));
    const std::vector<NamedTensors> ranks = train_in_float64(of, world);
    EXPECT_LT(largest_difference(ranks[0], alone), 1e-9);
    for (const NamedTensors& other : ranks) EXPECT_TRUE(are_equal(other, ranks[0])) << "the ranks differ";
  }
}

TEST_F(SeveralRanks, RanksWithoutSamplesKeepTheOthersStatistics) {
  const Case of{"batch norm",
                {},
                {"--data.synthetic.samples", "73", "--data.synthetic.shape", "16,16,1", "--data.val", "8",
                 "--model.name", "convnet"}};
  const std::vector<NamedTensors> ranks = train_in_float64(of, 3);  // the last batch has 2 samples
  for (const NamedTensors& other : ranks) EXPECT_TRUE(are_equal(other, ranks[0]));
  for (const auto& [name, tensor] : ranks[0]) {
    EXPECT_TRUE(tensor.isfinite().all().item<bool>()) << name;
    if (name.ends_with("running_var")) {
      EXPECT_GT(tensor.min().item<double>(), 0) << name;
    }
  }
}

TEST_F(SeveralRanks, ValuesOfTheSumOfTheirGradientsAreClipped) {
  const Flags clipped = {"--train.clip_grad_norm", "0", "--train.clip_grad_value", "0.01"};
  const NamedTensors alone = train_in_float64(tasks()[0], 1, clipped)[0];
  EXPECT_GT(largest_difference(alone, train_in_float64(tasks()[0], 1, {clipped[0], "0"})[0]), 1e-3) << "none clipped";
  const std::vector<NamedTensors> ranks = train_in_float64(tasks()[0], 3, clipped);
  EXPECT_LT(largest_difference(ranks[0], alone), float64_bound);
  EXPECT_TRUE(are_equal(ranks[0], ranks[2]));
}

// float64 never overflows, so NaN gradients stand in for an overflow.
TEST_F(SeveralRanks, AnOverflowOnOneRankHalvesTheScaleOnAll) {
  const Case of = tasks()[0];
  const Flags fp16 = {"--train.precision", "fp16"};
  const NamedTensors alone = train_in_float64(of, 1, fp16, /*nan_in_batch=*/2)[0];
  EXPECT_EQ(tensor_of(alone, "scaler.scale").item<double>(), 65'536 / 16) << "there are four epochs";
  const std::vector<NamedTensors> ranks = train_in_float64(of, 2, fp16, /*nan_in_batch=*/2);
  EXPECT_LT(largest_difference(ranks[0], alone), float64_bound);
  EXPECT_TRUE(are_equal(ranks[0], ranks[1]));
}

struct Random {
  const char* name;
  Flags flags;
};

class StoppedRun : public SeveralRanks, public testing::WithParamInterface<Random> {};

TEST_P(StoppedRun, EndsWithTheWeightsOfTheUndisturbedOne) {
  const Case of{"", {}, GetParam().flags};
  const Outcome whole = run_ranks(2, command(of, "whole", "12"));
  ASSERT_EQ(whole.exit_code, 0) << whole.output;
  Ranks ranks(2, command(of, "stopped", "12"));
  ASSERT_NO_FATAL_FAILURE(stop(ranks, 2, /*one=*/1));
  const Outcome resumed = run_ranks(2, command(of, "stopped", "12"));
  ASSERT_EQ(resumed.exit_code, 0) << resumed.output;
  EXPECT_THAT(resumed.output, testing::HasSubstr("resuming from step-"));
  for (const char* file : {"model.safetensors", "ema.safetensors", "state.safetensors"}) {
    EXPECT_TRUE(are_equal(saved("stopped", file), saved("whole", file))) << file;
  }
}

INSTANTIATE_TEST_SUITE_P(WithRandomNumbers, StoppedRun,
                         testing::Values(Random{"mixtures",
                                                {"--data.synthetic.samples", "87", "--data.synthetic.classes", "4",
                                                 "--data.val", "9", "--model.name", "convnet", "--transform.train",
                                                 "random_crop(padding=1)", "--task.classification.mixup", "0.4",
                                                 "--task.classification.cutmix", "0.4", "--loader.batch_size", "8"}},
                                         Random{"epochs_of_steps",
                                                {"--data.synthetic.samples", "87", "--data.synthetic.classes", "4",
                                                 "--data.val", "9", "--model.name", "convnet", "--transform.train",
                                                 "random_crop(padding=1)", "--task.classification.mixup", "0.4",
                                                 "--loader.batch_size", "8", "--train.steps_per_epoch", "7"}},
                                         Random{"dropout",
                                                {"--task.name", "regression", "--data.name", "csv", "--data.root",
                                                 "table", "--data.csv.target", "price", "--data.csv.ignore", "size",
                                                 "--data.val", "9", "--model.name", "mlp", "--model.mlp.width", "16",
                                                 "--model.mlp.dropout", "0.2"}}),
                         [](const auto& instance) { return std::string(instance.param.name); });

// Passes have 6 steps, the last one of a single batch.
TEST_F(SeveralRanks, EpochsOfStepsContinueThePassesOnAllRanks) {
  const Flags steps = {"--train.steps_per_epoch", "4"};
  const Flags dropout = {"--model.mlp.dropout", "0.2"};
  const Outcome passes = run_ranks(2, command(tasks()[0], "passes", "4", dropout));
  ASSERT_EQ(passes.exit_code, 0) << passes.output;
  const Outcome ranks = run_ranks(2, command(tasks()[0], "ranks", "6", {steps[0], steps[1], dropout[0], dropout[1]}));
  ASSERT_EQ(ranks.exit_code, 0) << ranks.output;
  EXPECT_TRUE(are_equal(saved("ranks"), saved("passes")));

  const Outcome two = run_ranks(2, command(tasks()[0], "two", "6", steps));
  ASSERT_EQ(two.exit_code, 0) << two.output;
  const Outcome alone = run_program(command(tasks()[0], "alone", "6", steps));
  ASSERT_EQ(alone.exit_code, 0) << alone.output;
  expect_same_metrics(rows_of(folder("two") + "/metrics.csv"), rows_of(folder("alone") + "/metrics.csv"));
}

TEST_F(SeveralRanks, CheckpointsResumeWithAnyNumberOfRanks) {
  const Case of = tasks()[0];
  const Outcome alone = run_program(command(of, "alone", "12"));
  ASSERT_EQ(alone.exit_code, 0) << alone.output;
  Ranks four(4, command(of, "of-4", "12"));
  ASSERT_NO_FATAL_FAILURE(stop(four, 4, /*one=*/std::nullopt));
  for (const int world : {1, 2, 3}) {
    const std::string run = fmt::format("then-{}", world);
    std::filesystem::copy(folder("of-4"), folder(run),
                          std::filesystem::copy_options::recursive | std::filesystem::copy_options::copy_symlinks);
    const Outcome outcome = world == 1 ? run_program(command(of, run, "12")) : run_ranks(world, command(of, run, "12"));
    ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
    EXPECT_LT(largest_difference(saved(run), saved("alone")), float32_bound) << run;
    expect_same_metrics(lines_of(folder(run) + "/metrics.jsonl"), lines_of(folder("alone") + "/metrics.jsonl"));
  }
}

// With a threshold of 1 no accuracy is twice the first one, so the rate falls after each epoch.
TEST_F(SeveralRanks, PlateauReducesTheRateOfAllRanksAlike) {
  const Case of = tasks()[0];
  const auto training = [&](const std::string& run, const std::string& epochs) {
    return command(of, run, epochs,
                   {"--schedule.name", "plateau", "--schedule.plateau.patience", "0", "--schedule.plateau.threshold",
                    "1", "--schedule.plateau.factor", "0.5"});
  };
  const Outcome alone = run_program(training("alone", "6"));
  ASSERT_EQ(alone.exit_code, 0) << alone.output;
  const std::vector<Line> expected = rows_of(folder("alone") + "/metrics.csv");
  EXPECT_LT(expected.back().at("lr"), expected.front().at("lr") / 8);
  const Outcome two = run_ranks(2, training("ranks", "3"));
  ASSERT_EQ(two.exit_code, 0) << two.output;
  const Outcome three = run_ranks(3, training("ranks", "6"));
  ASSERT_EQ(three.exit_code, 0) << three.output;
  EXPECT_LT(largest_difference(saved("ranks"), saved("alone")), float32_bound);
  expect_same_metrics(rows_of(folder("ranks") + "/metrics.csv"), expected);
  EXPECT_EQ(count_of(three.output, "as schedule.name = plateau follows val/accuracy"), 2) << "after epochs 4 and 5";
}

}  // namespace
}  // namespace trainyard
