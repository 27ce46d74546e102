#include "training/trainer.h"

#include <filesystem>
#include <sstream>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>
#include <signal.h>

#include "loader/open_pool.h"
#include "support/checkable_pool.h"
#include "support/configured.h"
#include "support/error_of.h"
#include "support/temp_dir.h"
#include "util/json_text.h"

namespace trainyard {
namespace {

ProcessGroup alone;

// Replaces the class names of CheckableDataset, one of which is not valid UTF-8.
class NamedDataset : public CheckableDataset {
 public:
  using CheckableDataset::CheckableDataset;
  const std::vector<std::string>& class_names() const override { return names_; }

 private:
  std::vector<std::string> names_ = {"a", "b", "c", "d", "e"};
};

DatasetFactory named(const ReadHook& train_hook, const ReadHook& val_hook = nullptr) {
  return [=] {
    std::vector<LoadedSplit> splits(2);
    splits[0].dataset = std::make_unique<NamedDataset>(100, train_hook, 37, /*varying=*/false);
    splits[1].dataset = std::make_unique<NamedDataset>(100, val_hook, 37, /*varying=*/false);
    return splits;
  };
}

TEST(Trainer, RefusesAClassThatNoManifestCanHoldBeforeAStep) {
  const TempDir dir;
  Config config;
  config.model.name = "resnet18";
  WorkerPool pool({.workers = 0, .batch_size = 1}, checkable(100, 100));
  const std::string message = error_of<RunError>([&] {
    Trainer trainer(config, pool, at::kCPU, alone, {.path = dir / "runs/a", .checkpoint = std::nullopt});
    trainer.open_folder();
  });
  EXPECT_THAT(message, testing::AllOf(testing::HasSubstr("could not save its checkpoints"),
                                      testing::HasSubstr("the class '\\xff not UTF-8' is not UTF-8")));
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
}

TEST(Trainer, RefusesASplitWithTooManyRowsForItsMetricsBeforeAStep) {
  const TempDir dir;
  const Config config = configured("--model.name resnet18 --task.classification.auc true");
  WorkerPool pool({.workers = 0, .batch_size = 1}, [] {
    std::vector<LoadedSplit> splits(2);
    splits[0].dataset = std::make_unique<NamedDataset>(100, nullptr, 37, /*varying=*/false);
    splits[1].dataset = std::make_unique<NamedDataset>(1 << 28, nullptr, 37, /*varying=*/false);
    return splits;
  });
  const std::string message = error_of<UsageError>([&] {
    const Trainer trainer(config, pool, at::kCPU, alone, {.path = dir / "runs/a", .checkpoint = std::nullopt});
  });
  EXPECT_THAT(message, testing::HasSubstr("auc needs 7 numbers for each of the 268435456 samples of a split"));
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
}

TEST(Trainer, StopsBeforeTheFirstStepWhileSplitsAreRead) {
  const TempDir dir;
  Config config;
  config.model.name = "resnet18";          // accepts images of 37×1
  config.loader.cache = SampleCache::gpu;  // also keeps the splits on a CPU
  int read = 0;
  StopRequests requests;
  WorkerPool pool({.workers = 0, .batch_size = 1}, named([&](std::size_t) {
                    if (++read == 3) requests.signal = SIGTERM;
                  }));
  const RunFolder folder{.path = dir / "run", .checkpoint = std::nullopt};
  Trainer trainer(config, pool, at::kCPU, alone, folder);
  trainer.open_folder();
  const RunResult result = trainer.run(StopToken(requests));
  EXPECT_EQ(result.signal, SIGTERM);
  EXPECT_EQ(result.steps, 0);
  EXPECT_LT(read, 50);
}

std::string saved(const RunFolder& folder, const char* file) {
  return read_text_file(folder.checkpoints() / "last" / file, "test");
}

class TrainerWithStepsPerEpoch : public testing::TestWithParam<std::int64_t> {};

// For each epoch: the last one has nothing left to train after the resume.
TEST_P(TrainerWithStepsPerEpoch, StoppedEvaluationIsRepeatedBitForBitAfterAResume) {
  Config config = configured(
      "--model.name linear --loader.batch_size 10 --train.epochs 2 --train.ema_decay 0.9 --train.log_every 7");
  config.train.steps_per_epoch = GetParam();
  const std::int64_t steps = GetParam() == 0 ? 10 : GetParam();
  const PoolOptions options{.workers = 0, .batch_size = 10};
  const TempDir dir;
  const RunFolder whole{.path = dir / "whole", .checkpoint = std::nullopt};
  {
    WorkerPool pool(options, named(nullptr));
    Trainer trainer(config, pool, at::kCPU, alone, whole);
    trainer.open_folder();
    EXPECT_EQ(trainer.run().epochs, 2);
  }
  for (const int epoch : {1, 2}) {
    RunFolder parts{.path = dir / fmt::format("parts-{}", epoch), .checkpoint = std::nullopt};
    StopRequests requests;
    int read = 0;
    WorkerPool pool(options, named(nullptr, [&](std::size_t) {
                      if (++read == 100 * epoch - 50) requests.signal = SIGTERM;
                    }));
    {
      Trainer trainer(config, pool, at::kCPU, alone, parts);
      trainer.open_folder();
      const RunResult result = trainer.run(StopToken(requests));
      EXPECT_EQ(result.signal, SIGTERM);
      EXPECT_EQ(result.epochs, epoch - 1);
      EXPECT_EQ(result.steps, steps * epoch);
      EXPECT_LT(read, 100 * epoch) << "the evaluation went on";
    }
    parts.checkpoint = parts.checkpoints() / fmt::format("step-{:08}", steps * epoch);
    Trainer trainer(config, pool, at::kCPU, alone, parts);
    trainer.open_folder();
    const RunResult result = trainer.run();
    EXPECT_EQ(result.epochs, 2);
    EXPECT_TRUE(result.last);
    const std::string rows = read_text_file(parts.path / "metrics.csv", "test");
    const std::size_t unknown = rows.find(",,\n");  // the speed of an epoch that this process has only evaluated
    EXPECT_EQ(rows.substr(0, unknown).rfind(fmt::format("\n{},", epoch)), rows.substr(0, unknown).rfind('\n')) << rows;
    EXPECT_EQ(saved(parts, "model.safetensors"), saved(whole, "model.safetensors"));
    EXPECT_EQ(saved(parts, "state.safetensors"), saved(whole, "state.safetensors"));
    EXPECT_EQ(saved(parts, "../best/ema.safetensors"), saved(whole, "../best/ema.safetensors"));
  }
}

INSTANTIATE_TEST_SUITE_P(OfPassesOf10, TrainerWithStepsPerEpoch, testing::Values(0, 7, 23),
                         [](const auto& instance) { return fmt::format("{}", instance.param); });

TEST(Trainer, RunBeginsAgainUntilItHasSavedAndIsThenMissed) {
  const TempDir dir;
  Config config = configured("--model.name linear --loader.batch_size 50 --train.epochs 1 --run.name a");
  config.run.dir = dir.path();
  config.run.started_in = "/home";
  WorkerPool pool({.workers = 0, .batch_size = 50}, named(nullptr));
  const RunFolder folder = choose_run_folder(config);
  {
    Trainer trainer(config, pool, at::kCPU, alone, folder);
    trainer.open_folder();
  }
  EXPECT_THAT(choose_run_folder(config).notes, testing::ElementsAre(testing::HasSubstr("it begins again")));
  {
    Trainer trainer(config, pool, at::kCPU, alone, folder);
    trainer.open_folder();
    trainer.run();
  }
  std::filesystem::remove_all(folder.checkpoints());
  make_folders(folder.checkpoints());
  EXPECT_THAT(error_of<UsageError>([&] { choose_run_folder(config); }), testing::HasSubstr("(1 epoch in metrics.csv)"));
}

TEST(Trainer, SavesAfterTheNextStepIfAskedBetweenTwoEpochs) {
  const TempDir dir;
  const Config config = configured("--model.name linear --loader.batch_size 50 --train.epochs 1 --checkpoint.keep 10");
  WorkerPool pool({.workers = 0, .batch_size = 50}, named(nullptr));
  StopRequests requests;
  requests.save = true;
  const RunFolder folder{.path = dir / "run", .checkpoint = std::nullopt};
  Trainer trainer(config, pool, at::kCPU, alone, folder);
  trainer.open_folder();
  EXPECT_EQ(trainer.run(StopToken(requests)).steps, 2);
  EXPECT_TRUE(std::filesystem::exists(folder.checkpoints() / "step-00000001"));
}

// The steps that have a line in metrics.jsonl, of a run whose passes have 3 steps.
std::vector<std::int64_t> logged_steps(const std::string& flags) {
  const TempDir dir;
  const Config config = configured("--model.name linear --loader.batch_size 34 --train.log_every 4 " + flags);
  WorkerPool pool({.workers = 0, .batch_size = 34}, named(nullptr));
  Trainer trainer(config, pool, at::kCPU, alone, {.path = dir / "run", .checkpoint = std::nullopt});
  trainer.open_folder();
  trainer.run();
  std::vector<std::int64_t> steps;
  std::istringstream lines(read_text_file(dir / "run/metrics.jsonl", "test"));
  for (std::string line; std::getline(lines, line);) steps.push_back(json_from(line).at("step"));
  return steps;
}

TEST(Trainer, WritesALineForEachEpochAndForTheLastStep) {
  EXPECT_THAT(logged_steps("--train.epochs 2"), testing::ElementsAre(3, 4, 6));
  EXPECT_THAT(logged_steps("--train.epochs 3 --train.steps_per_epoch 2"), testing::ElementsAre(2, 4, 6));
  EXPECT_THAT(logged_steps("--train.epochs 2 --train.steps_per_epoch 5"), testing::ElementsAre(4, 8, 10));
}

TEST(Trainer, NamesTheBatchOfANanLossWithinItsEpoch) {
  const TempDir dir;
  const Config config = configured(
      "--model.name linear --loader.batch_size 50 --optimizer.lr 1e6 --optimizer.weight_decay 1e3 --train.epochs 5 "
      "--train.steps_per_epoch 3 --schedule.name constant");
  WorkerPool pool({.workers = 0, .batch_size = 50}, named(nullptr));
  Trainer trainer(config, pool, at::kCPU, alone, {.path = dir / "run", .checkpoint = std::nullopt});
  trainer.open_folder();
  EXPECT_THAT(
      error_of<RunError>([&] { trainer.run(); }),
      testing::ContainsRegex(
          "at step 4 .epoch 2, batch 1 of 3,|at step 5 .epoch 2, batch 2 of 3,|at step 6 .epoch 2, batch 3 of 3,"));
}

// Trains on synthetic images.
RunResult trained_with(const std::string& flags) {
  const TempDir dir;
  const Config config = configured(
      "--data.name synthetic --data.synthetic.shape 8,8,1 --data.synthetic.classes 3 --loader.workers 0 " + flags);
  WorkerPool pool(pool_options(config), dataset_factory(config));
  Trainer trainer(config, pool, at::kCPU, alone, {.path = dir / "run", .checkpoint = std::nullopt});
  trainer.open_folder();
  return trainer.run();
}

// Batches of 8, 8, 8 and 1 samples.
TEST(Trainer, ALastBatchThatTheRunDoesNotReachMayHaveOneSample) {
  const auto run = [](const std::string& flags) {
    return trained_with("--data.synthetic.samples 27 --data.val 2 --loader.batch_size 8 " + flags).steps;
  };
  EXPECT_EQ(run("--train.epochs 1 --train.steps_per_epoch 3"), 3);
  EXPECT_THAT(error_of<UsageError>([&] { run("--train.epochs 2 --train.steps_per_epoch 3"); }),
              testing::HasSubstr("a batch of one sample"));
  EXPECT_EQ(run("--train.epochs 2 --train.steps_per_epoch 5 --loader.drop_last true"), 10);
}

TEST(Trainer, EvaluatesImagesOfAnotherSizeIfTheModelTakesThem) {
  const auto run = [](const std::string& model) {
    return trained_with("--data.synthetic.samples 30 --train.epochs 1 --transform.test resize(size=12) " + model)
        .last.has_value();
  };
  EXPECT_TRUE(run("--model.name convnet"));
  const std::string message = error_of<UsageError>([&] { run("--model.name vit_tiny --model.vit.patch_size 4"); });
  EXPECT_THAT(message, testing::AllOf(testing::HasSubstr("samples of val have image (uint8, 12 x 12 x 1)"),
                                      testing::HasSubstr("made for image (uint8, 8 x 8 x 1)")));
}

// 40 rows of a table with the same target. One of them cannot be read.
class ConstantTarget final : public Dataset {
 public:
  explicit ConstantTarget(std::optional<std::size_t> torn) : torn_(torn) {}
  std::size_t size() const override { return 40; }
  const std::vector<Field>& fields() const override { return fields_; }
  void read(std::size_t index, RandomStream /*random*/, Sample& sample) const override {
    if (index == torn_) throw RunError("test", "row {} is torn", index);
    sample.set(0, static_cast<float>(index));
    sample.set(1, 7.0);
  }
  std::uint64_t fingerprint() const override { return 1; }

 private:
  std::optional<std::size_t> torn_;
  std::vector<Field> fields_ = {{.name = "numeric", .dtype = DType::float32, .shape = {1}},
                                {.name = "target", .dtype = DType::float64}};
};

// Passes of ten batches. Returns the warnings.
std::string warnings_of_constant_target(const std::string& flags, std::optional<std::size_t> torn = std::nullopt) {
  const TempDir dir;
  const Config config = configured(
      "--task.name regression --model.name mlp --loader.batch_size 4 --optimizer.lr 1e-3 --schedule.name constant "
      "--loader.on_worker_error skip " +
      flags);
  WorkerPool pool({.workers = 0, .batch_size = 4, .on_worker_error = OnWorkerError::skip}, [torn] {
    std::vector<LoadedSplit> splits(2);
    for (LoadedSplit& split : splits) split.dataset = std::make_unique<ConstantTarget>(torn);
    return splits;
  });
  testing::internal::CaptureStdout();  // of the log
  Trainer trainer(config, pool, at::kCPU, alone, {.path = dir / "run", .checkpoint = std::nullopt});
  trainer.open_folder();
  trainer.run();
  return testing::internal::GetCapturedStdout();
}

TEST(Trainer, WarnsOfTrainOnceAPassIsCompleteWhereverThatIs) {
  const std::string warning = "[data] train: the target 'target' is constant";
  EXPECT_THAT(warnings_of_constant_target("--train.epochs 2"), testing::HasSubstr(warning));
  EXPECT_THAT(warnings_of_constant_target("--train.epochs 4 --train.steps_per_epoch 3"), testing::HasSubstr(warning));
  EXPECT_THAT(warnings_of_constant_target("--train.epochs 1 --train.steps_per_epoch 25"), testing::HasSubstr(warning));
}

TEST(Trainer, WarnsOfThePartOfTrainThatARunHasSeen) {
  EXPECT_THAT(warnings_of_constant_target("--train.epochs 3 --train.steps_per_epoch 3"),
              testing::HasSubstr("[data] train (36 of 40 samples): the target 'target' is constant"));
}

TEST(Trainer, WarnsOfSplitsOfWhichSamplesAreLeftOut) {
  EXPECT_THAT(warnings_of_constant_target("--train.epochs 1", 11),
              testing::AllOf(testing::HasSubstr("[data] train (39 of 40 samples): the target 'target' is constant"),
                             testing::HasSubstr("[data] val: the target 'target' is constant")));
}

// The weights overflow, so no epoch is the best.
TEST(Trainer, IsNotStoppedEarlyIfItsLastEpochEndsItsPatience) {
  const TempDir dir;
  const Config config = configured(
      "--model.name linear --loader.batch_size 5 --optimizer.lr 1e6 --optimizer.weight_decay 1e3 --train.on_nonfinite "
      "skip --train.epochs 2 --train.patience 2");
  WorkerPool pool({.workers = 0, .batch_size = 5}, named(nullptr));
  const RunFolder folder{.path = dir / "run", .checkpoint = std::nullopt};
  Trainer trainer(config, pool, at::kCPU, alone, folder);
  trainer.open_folder();
  const RunResult result = trainer.run();
  EXPECT_EQ(result.best_epoch, 0);
  EXPECT_EQ(result.epochs, 2);
  EXPECT_FALSE(result.early_stopped);
}

}  // namespace
}  // namespace trainyard
