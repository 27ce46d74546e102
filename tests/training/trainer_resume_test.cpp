// Resumes from checkpoints with correct checksums and wrong values: a resume is bit-identical or refused with a reason.

#include <cmath>
#include <cstring>
#include <filesystem>
#include <functional>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "checkpoint/checkpoint.h"
#include "checkpoint/manifest_example.h"
#include "checkpoint/safetensors_torch.h"
#include "loader/open_pool.h"
#include "support/configured.h"
#include "support/error_of.h"
#include "support/temp_dir.h"
#include "training/trained_model.h"
#include "training/trainer.h"

namespace trainyard {
namespace {

ProcessGroup alone;

namespace fs = std::filesystem;
using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

constexpr std::int64_t all_steps = 6;  // two epochs of three batches

class TrainerResume : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    dir_ = std::make_unique<TempDir>();
    Config config = small_config();
    config.checkpoint.every_steps = 1;
    config.checkpoint.keep = 100;
    train(config, {.path = *dir_ / "run", .checkpoint = std::nullopt});
  }
  static void TearDownTestSuite() { dir_.reset(); }

  void SetUp() override {
    fs::copy(*dir_ / "run/checkpoints/step-00000004", checkpoint(), fs::copy_options::recursive);
  }

  static Config small_config() {
    Config config = configured(
        "--data.name synthetic --data.synthetic.shape 8,8,1 --data.synthetic.samples 24 --data.synthetic.classes 3");
    config.loader.batch_size = 8;
    config.loader.workers = 0;
    config.optimizer.lr = 0.01;
    config.train.epochs = 2;
    config.train.device = "cpu";
    return config;
  }

  static Config randomized_config() {
    return configured("--transform.train random_horizontal_flip --task.classification.mixup 0.4", small_config());
  }

  static RunResult train(const Config& config, const RunFolder& folder) {
    WorkerPool pool(pool_options(config), dataset_factory(config));
    Trainer trainer(config, pool, at::kCPU, alone, folder);
    trainer.open_folder();
    return trainer.run();
  }

  // Step 4, one batch into the second epoch; each test has its own copy.
  fs::path checkpoint() const { return case_ / "step-00000004"; }

  RunResult resume(const Config& config = small_config()) const {
    const fs::path run = case_ / "resumed";
    fs::remove_all(run);
    return train(config, {.path = run, .checkpoint = checkpoint()});
  }

  std::string refusal() const {
    return error_of<RunError>([&] { resume(); });
  }

  json manifest() const { return json::parse(read_text_file(checkpoint() / "manifest.json", "test")); }
  void write_manifest(const json& manifest) const { case_.write("step-00000004/manifest.json", sealed(manifest)); }
  void change_manifest(const std::string& pointer, const json& value) const {
    json changed = manifest();
    changed[json::json_pointer(pointer)] = value;
    write_manifest(changed);
  }

  // Changes the tensors of one file, and its size and checksum in the manifest.
  void change_file(const std::string& name, const std::function<void(NamedTensors&)>& change) const {
    NamedTensors tensors = load_safetensors(checkpoint() / name);
    change(tensors);
    const FileDigest sum = save_safetensors(checkpoint() / name, tensors);
    json changed = manifest();
    changed["files"][name] = {{"bytes", sum.bytes}, {"crc32", fmt::format("{:08x}", sum.crc32)}};
    write_manifest(changed);
  }
  void change_tensor(const std::string& file, const std::string& tensor, const at::Tensor& value) const {
    change_file(file, [&](NamedTensors& tensors) {
      for (auto& [name, old] : tensors) {
        if (name == tensor) old = value;
      }
    });
  }

  std::string final_weights(const fs::path& run) const {
    return read_text_file(run / "checkpoints/last/model.safetensors", "test");
  }

  TempDir case_;
  static inline std::unique_ptr<TempDir> dir_;
};

TEST_F(TrainerResume, ContinuesBitForBit) {
  EXPECT_EQ(resume().steps, all_steps);
  EXPECT_EQ(final_weights(case_ / "resumed"), final_weights(*dir_ / "run"));
}

TEST_F(TrainerResume, FrozenStagesAndLayerDecayContinueBitForBit) {
  Config config = small_config();
  config.model.freeze_stages = 1;
  config.model.freeze = {"bn3"};
  config.optimizer.layer_decay = 0.5;
  config.train.ema_decay = 0.9;
  config.checkpoint.every_steps = 1;
  config.checkpoint.keep = 100;
  train(config, {.path = case_ / "whole", .checkpoint = std::nullopt});
  train(config, {.path = case_ / "resumed", .checkpoint = case_ / "whole/checkpoints/step-00000004"});
  EXPECT_EQ(final_weights(case_ / "resumed"), final_weights(case_ / "whole"));
  const NamedTensors begin = load_safetensors(case_ / "whole/checkpoints/step-00000001/model.safetensors");
  const NamedTensors end = load_safetensors(case_ / "resumed/checkpoints/last/model.safetensors");
  const NamedTensors average = load_safetensors(case_ / "resumed/checkpoints/last/ema.safetensors");
  for (std::size_t i = 0; i < begin.size(); ++i) {
    const std::string& name = begin[i].first;
    const bool is_frozen = name.starts_with("conv1.") || name.starts_with("bn1.") || name.starts_with("bn3.");
    EXPECT_EQ(at::equal(begin[i].second, end[i].second), is_frozen) << name;
    EXPECT_EQ(at::equal(begin[i].second, average[i].second), is_frozen) << name;
  }
}

TEST_F(TrainerResume, DropPathContinuesBitForBit) {
  const Config config = configured(
      "--model.name convnext_atto --model.convnext.patch_size 1 --model.convnext.drop_path 0.5 "
      "--checkpoint.every_steps 4 --checkpoint.keep 100",
      small_config());
  train(config, {.path = case_ / "whole", .checkpoint = std::nullopt});
  train(config, {.path = case_ / "resumed", .checkpoint = case_ / "whole/checkpoints/step-00000004"});
  EXPECT_EQ(final_weights(case_ / "resumed"), final_weights(case_ / "whole"));
}

// The learning rate is a function of the step and the number of steps, so runs of as many steps only differ in when
// they are evaluated.
TEST_F(TrainerResume, EpochsOfAnyNumberOfStepsEndWithTheWeightsOfPasses) {
  for (const int accumulate : {1, 2}) {
    Config config = randomized_config();
    config.train.accumulate = accumulate;
    config.train.epochs = 4;
    const std::int64_t steps_per_pass = accumulate == 1 ? 3 : 2;
    const fs::path passes = case_ / fmt::format("passes-{}", accumulate);
    train(config, {.path = passes, .checkpoint = std::nullopt});
    for (const std::int64_t steps : {std::int64_t{1}, steps_per_pass, std::int64_t{4}, 4 * steps_per_pass}) {
      config.train.steps_per_epoch = steps;
      config.train.epochs = static_cast<int>(4 * steps_per_pass / steps);
      const fs::path run = case_ / fmt::format("steps-{}-{}", accumulate, steps);
      EXPECT_EQ(train(config, {.path = run, .checkpoint = std::nullopt}).steps, 4 * steps_per_pass);
      EXPECT_EQ(final_weights(run), final_weights(passes)) << run;
      if (steps != steps_per_pass) continue;
      const fs::path last = "checkpoints/last";
      EXPECT_EQ(read_text_file(run / last / "state.safetensors", "test"),
                read_text_file(passes / last / "state.safetensors", "test"));
      EXPECT_EQ(read_manifest(run / last).best, read_manifest(passes / last).best);
    }
  }
}

// Epochs of 4 steps in passes of 3, and epochs of 5 steps in passes of 2 steps, of which the second has one batch.
TEST_F(TrainerResume, EpochsThatCrossPassesContinueBitForBitFromEachStep) {
  for (const auto& [accumulate, steps] : {std::pair{1, 4}, {2, 5}}) {
    Config config = randomized_config();
    config.train.accumulate = accumulate;
    config.train.steps_per_epoch = steps;
    config.checkpoint.every_steps = 1;
    config.checkpoint.keep = 100;
    const fs::path whole = case_ / fmt::format("whole-{}", accumulate);
    train(config, {.path = whole, .checkpoint = std::nullopt});
    for (int step = 1; step < 2 * steps; ++step) {
      config.loader.workers = step % 3;
      config.loader.cache = step % 2 == 0 ? SampleCache::gpu : SampleCache::none;  // also keeps the splits on a CPU
      const fs::path resumed = case_ / fmt::format("resumed-{}-{}", accumulate, step);
      const fs::path from = whole / fmt::format("checkpoints/step-{:08}", step);
      EXPECT_EQ(train(config, {.path = resumed, .checkpoint = from}).steps, 2 * steps);
      EXPECT_EQ(final_weights(resumed), final_weights(whole)) << accumulate << ", from step " << step;
    }
  }
}

TEST_F(TrainerResume, MoreEpochsOfStepsContinueARun) {
  Config config = randomized_config();
  config.schedule.name = "constant";
  config.train.steps_per_epoch = 4;
  config.train.epochs = 3;
  train(config, {.path = case_ / "long", .checkpoint = std::nullopt});
  config.train.epochs = 2;
  train(config, {.path = case_ / "short", .checkpoint = std::nullopt});
  config.train.epochs = 3;
  const RunResult result =
      train(config, {.path = case_ / "extended", .checkpoint = case_ / "short/checkpoints/step-00000008"});
  EXPECT_EQ(result.steps, 12);
  EXPECT_EQ(final_weights(case_ / "extended"), final_weights(case_ / "long"));
}

// With a threshold of 1 the accuracy hardly ever improves, so the rate falls after almost each epoch.
TEST_F(TrainerResume, PlateauContinuesBitForBitFromEachStep) {
  Config config = configured(
      "--schedule.name plateau --schedule.plateau.patience 0 --schedule.plateau.threshold 1 "
      "--schedule.plateau.factor 0.5",
      randomized_config());
  config.train.epochs = 4;
  config.checkpoint.every_steps = 1;
  config.checkpoint.keep = 100;
  for (const auto& [accumulate, steps] : {std::pair{1, 4}, {2, 3}}) {
    config.train.accumulate = accumulate;
    config.train.steps_per_epoch = steps;
    const fs::path whole = case_ / fmt::format("whole-{}", accumulate);
    train(config, {.path = whole, .checkpoint = std::nullopt});
    const std::string rows = read_text_file(whole / "metrics.csv", "test");
    EXPECT_THAT(rows, AllOf(HasSubstr(",0.01,"), HasSubstr(",0.005,"))) << "no rate was reduced";
    EXPECT_EQ(read_manifest(whole / "checkpoints/last").history.size(), 4u);
    for (int step = 1; step < 4 * steps; ++step) {
      const fs::path resumed = case_ / fmt::format("resumed-{}-{}", accumulate, step);
      const fs::path from = whole / fmt::format("checkpoints/step-{:08}", step);
      EXPECT_EQ(train(config, {.path = resumed, .checkpoint = from}).steps, 4 * steps);
      EXPECT_EQ(final_weights(resumed), final_weights(whole)) << accumulate << ", from step " << step;
      EXPECT_EQ(read_manifest(resumed / "checkpoints/last").history, read_manifest(whole / "checkpoints/last").history);
    }
  }
}

// As earlier programs wrote them.
TEST_F(TrainerResume, CheckpointsWithoutAHistoryContinueBitForBit) {
  json old = manifest();
  EXPECT_EQ(old.erase("history"), 1u);
  write_manifest(old);
  EXPECT_EQ(resume().steps, all_steps);
  EXPECT_EQ(final_weights(case_ / "resumed"), final_weights(*dir_ / "run"));
  EXPECT_EQ(read_manifest(case_ / "resumed/checkpoints/last").history.size(), 1u) << "of the last epoch";
}

TEST_F(TrainerResume, PlateauFollowsTheEpochsThatTheCheckpointKnows) {
  const std::string flags =
      "--schedule.name plateau --schedule.plateau.patience 1 --schedule.plateau.threshold 1 --optimizer.lr 0.01 "
      "--train.epochs 5";
  const Config config = configured(flags, small_config());
  const auto last_row = [&] {
    resume(config);
    const std::string rows = read_text_file(case_ / "resumed/metrics.csv", "test");
    return rows.substr(rows.find("\n5,"));
  };
  change_manifest("/history", {1});  // so that no later accuracy improves
  EXPECT_THAT(last_row(), HasSubstr(",0.001,"));
  json old = manifest();
  old.erase("history");
  write_manifest(old);
  resume(config);
  EXPECT_EQ(read_manifest(case_ / "resumed/checkpoints/last").history.size(), 4u);
}

TEST_F(TrainerResume, AnyNumberInTheManifestContinuesBitForBitOrIsRefused) {
  const json valid = manifest();
  int refused = 0;
  int resumed = 0;
  for (const json::json_pointer& place : places_of_numbers(valid)) {
    for (const json& value : hostile_numbers()) {
      json changed = valid;
      changed[place] = value;
      try {
        parse_manifest(sealed(changed), "m.json");
      } catch (const Error&) {
        continue;  // refused when it is parsed: tests/checkpoint/manifest_test.cpp
      }
      write_manifest(changed);
      try {
        const RunResult result = resume();
        ASSERT_EQ(result.steps, all_steps) << place << value;
        ASSERT_EQ(final_weights(case_ / "resumed"), final_weights(*dir_ / "run")) << place << value;
        ++resumed;
      } catch (const Error& error) {
        ASSERT_THAT(error.what(), HasSubstr("step-00000004")) << place << value;
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 5);
  EXPECT_GT(resumed, 5);
}

TEST_F(TrainerResume, PlacesThatTheRunDoesNotHaveAreRefused) {
  change_manifest("/batch", 4);
  EXPECT_THAT(refusal(), HasSubstr("step 4 after 4 batches of an epoch; in this run it comes after 1"));
  change_manifest("/batch", 1);
  change_manifest("/epoch", 0);
  change_manifest("/best/epoch", 0);
  change_manifest("/best/metrics", json::object());
  change_manifest("/history", json::array());
  EXPECT_THAT(refusal(), HasSubstr("its manifest says step 4 after 0 epochs; an epoch has 3 steps"));
  change_manifest("/epoch", 2);
  EXPECT_THAT(refusal(), HasSubstr("contradicts itself: epoch is 2 with 1 batches of the next, train.epochs"));
}

TEST_F(TrainerResume, SumsThatTheRunCannotHaveAreRefused) {
  const json valid = manifest();
  const std::string state = read_text_file(checkpoint() / "state.safetensors", "test");
  for (const std::string& group : {std::string("metrics.epoch"), std::string("metrics.window")}) {
    for (const auto& [name, value] : {std::pair(group + ".samples", at::tensor({999.0}, at::kDouble)),
                                      std::pair(group + ".samples", at::tensor({0.5}, at::kDouble)),
                                      std::pair(group + ".samples", at::tensor({-1.0}, at::kDouble)),
                                      std::pair(group + ".loss", at::tensor({HUGE_VAL, 8.0}, at::kDouble)),
                                      std::pair(group + ".accuracy", at::tensor({std::nan(""), 8.0}, at::kDouble))}) {
      change_tensor("state.safetensors", name, value);
      EXPECT_THAT(refusal(), AllOf(HasSubstr("step-00000004"), HasSubstr(name),
                                   testing::AnyOf(HasSubstr("allowed: finite numbers"), HasSubstr("holds NaN"))));
      case_.write("step-00000004/state.safetensors", state);
      write_manifest(valid);
    }
  }
  change_tensor("state.safetensors", "metrics.epoch.accuracy", at::zeros({3}, at::kDouble));
  EXPECT_THAT(refusal(), HasSubstr("metrics.epoch.accuracy"));
}

TEST_F(TrainerResume, ABestEpochByAnotherMetricIsRefused) {
  change_manifest("/best/metrics", {{"val/accuracy", 0.5}, {"val/f1", 0.5}});
  EXPECT_THAT(refusal(), HasSubstr("its best epoch was chosen by 'val/accuracy' and has 2 metrics"));
}

TEST_F(TrainerResume, AnotherValSplitIsRefusedWithBoth) {
  change_manifest("/val/fingerprint", "1");
  EXPECT_THAT(
      error_of<UsageError>([&] { resume(); }),
      AllOf(HasSubstr("[run.resume]"), HasSubstr("another val split, of 2 samples"), HasSubstr("0000000000000001")));
}

TEST_F(TrainerResume, TheManifestRecordsTheSplitAndHowTheRunStands) {
  const Manifest within = read_manifest(checkpoint());
  EXPECT_EQ(within.ended, RunEnd::running);
  EXPECT_EQ(within.batch, 1);
  EXPECT_EQ(within.val.samples, 2);
  EXPECT_DOUBLE_EQ(within.val.share, 2.0 / 24);
  EXPECT_TRUE(within.val.from_train);
  EXPECT_EQ(within.best.epoch, 1);
  EXPECT_EQ(within.best.monitor, "val/accuracy");
  EXPECT_EQ(within.task, "classification");
  EXPECT_EQ(within.fields.front().name, "image");
  EXPECT_EQ(read_manifest(*dir_ / "run/checkpoints/last").ended, RunEnd::finished);
}

TEST_F(TrainerResume, BatchThatEndsNoStepIsRefused) {
  Config config = small_config();
  config.train.accumulate = 2;
  EXPECT_THAT(error_of<RunError>([&] { resume(config); }),
              HasSubstr("step 4 after 1 batch of an epoch; in this run it comes after 3"));
}

TEST_F(TrainerResume, ConfigurationInTheManifestIsHostileToo) {
  const std::string config = manifest()["config"];
  for (const std::string text : {"\x1b[31m", "[train]\nepochs = 1e99\n", "[nothing]\nx = 1\n", "[[[", "help = true\n",
                                 "version = true\n", "config = \"/etc/passwd\"\n", "[train]\nepochs = [1, 2]\n"}) {
    change_manifest("/config", text);
    EXPECT_THAT(refusal(),
                AllOf(HasSubstr("[checkpoint] "), HasSubstr("step-00000004"), testing::Not(HasSubstr("\x1b"))))
        << text;
  }
  change_manifest("/config", config);
  change_manifest("/model", "resnet18");
  EXPECT_THAT(refusal(), HasSubstr("model is resnet18, model.name of its configuration is convnet"));
}

TEST_F(TrainerResume, MisshapenModelTensorIsNamedWithBothShapes) {
  change_tensor("model.safetensors", "fc.bias", at::zeros({7}));
  EXPECT_THAT(refusal(), AllOf(HasSubstr("[checkpoint] "), HasSubstr("step-00000004/model.safetensors: "),
                               HasSubstr("tensor 'fc.bias' is [7], the model's is [3]")));
  change_tensor("model.safetensors", "fc.bias", at::zeros({3}, at::kDouble));
  EXPECT_THAT(refusal(), HasSubstr("tensor 'fc.bias' is of type Double, the model's is of type Float"));
}

TEST_F(TrainerResume, StateThatDoesNotFitIsNamed) {
  const std::string buffer = "optimizer.momentum_buffer.fc.weight";
  const auto refusal_with = [&](const std::string& name, const at::Tensor& value) {
    change_tensor("state.safetensors", name, value);
    const std::string message = refusal();
    EXPECT_THAT(message,
                AllOf(HasSubstr("[checkpoint] "), HasSubstr("step-00000004/state.safetensors"), HasSubstr(name)));
    return message;
  };
  const NamedTensors whole = load_safetensors(checkpoint() / "state.safetensors");
  const auto restore_whole = [&] { change_file("state.safetensors", [&](NamedTensors& tensors) { tensors = whole; }); };
  EXPECT_THAT(refusal_with(buffer, at::zeros({2, 2})), HasSubstr("is [2, 2], the run's is [3, 128]"));
  EXPECT_THAT(refusal_with(buffer, at::full({3, 128}, NAN)), HasSubstr("holds NaN"));
  restore_whole();
  change_file("state.safetensors",
              [&](NamedTensors& tensors) { tensors.front().first = "\x1b" + std::string(1000, 'n'); });
  EXPECT_THAT(refusal(), AllOf(HasSubstr("' is missing"), HasSubstr("\\x1b"), testing::Not(HasSubstr("\x1b"))));
  restore_whole();
  EXPECT_EQ(resume().steps, all_steps);
}

TEST_F(TrainerResume, NumbersOfStepsThatTheRunHasNotDoneAreRefused) {
  Config config = small_config();
  config.optimizer.name = "adamw";
  config.checkpoint.every_steps = 1;
  config.checkpoint.keep = 100;
  train(config, {.path = case_ / "adamw", .checkpoint = std::nullopt});
  fs::remove_all(checkpoint());
  fs::copy(case_ / "adamw/checkpoints/step-00000004", checkpoint(), fs::copy_options::recursive);
  for (const double steps : {-1.0, 0.5, 5.0}) {
    change_tensor("state.safetensors", "optimizer.step.fc.bias", at::scalar_tensor(steps, at::kFloat));
    EXPECT_THAT(error_of<RunError>([&] { resume(config); }),
                HasSubstr(fmt::format("'optimizer.step.fc.bias' is {}; allowed: whole numbers from 0 to 4", steps)));
  }
  change_tensor("state.safetensors", "optimizer.step.fc.bias", at::scalar_tensor(4.0, at::kFloat));
  EXPECT_EQ(resume(config).steps, all_steps);
}

TEST_F(TrainerResume, TrainedModelThatDoesNotFitItsManifestIsRefused) {
  const auto refusal = [&] { return error_of<RunError>([&] { load_trained_model(checkpoint(), at::kCPU); }); };
  change_manifest("/class_counts", json::array());
  change_manifest("/class_names", {"a", "b"});
  EXPECT_THAT(refusal(),
              AllOf(HasSubstr("[checkpoint] "), HasSubstr("step-00000004/manifest.json does not fit its task: "),
                    HasSubstr("there are class names, 2; the data have label (int64) with 3 values")));
  change_manifest("/fields/1/values/count", 2);
  EXPECT_THAT(refusal(), AllOf(HasSubstr("step-00000004/model.safetensors: "),
                               HasSubstr("'fc.weight' is [3, 128], the model's is [2, 128]")));
  change_manifest("/class_names", {"a", "b", "c"});
  change_manifest("/fields/1/values/count", 3);
  change_tensor("model.safetensors", "fc.weight", at::full({3, 128}, NAN));
  EXPECT_THAT(refusal(), HasSubstr("'fc.weight' holds NaN"));
  std::string config = manifest()["config"];
  config.replace(config.find("\"convnet\""), std::strlen("\"convnet\""), "\"linear\"");
  change_manifest("/model", "linear");
  change_manifest("/config", config);
  change_manifest("/fields/0/shape", {40'000, 40'000, 1});
  EXPECT_THAT(refusal(), AllOf(HasSubstr("step-00000004/manifest.json asks for a model that takes more than "),
                               HasSubstr("a tensor of 19200000000 bytes among them")));
  change_manifest("/class_names", std::vector<std::string>(std::size_t{1} << 20, "x"));
  EXPECT_THAT(refusal(), HasSubstr("names 1048576 classes, too many for the"));
}

}  // namespace
}  // namespace trainyard
