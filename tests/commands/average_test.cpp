#include <filesystem>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include <ATen/ops/allclose.h>

#include "checkpoint/safetensors_torch.h"
#include "commands/small_run.h"
#include "util/torch.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::HasSubstr;

using AverageCommand = SmallRun;

NamedTensors weights_in(const std::string& checkpoint) { return load_safetensors(checkpoint + "/model.safetensors"); }

TEST_F(AverageCommand, WritesTheMeanOfTheLastCheckpointsForEvalAndNewRuns) {
  const Outcome averaged = run_program({TRAINYARD_BINARY, "average", run(), "--last", "2"});
  ASSERT_EQ(averaged.exit_code, 0) << averaged.output;
  EXPECT_THAT(averaged.output, AllOf(HasSubstr("averaged 2 checkpoints"), HasSubstr("step-00000004, step-00000008")));

  const NamedTensors first = weights_in(run() + "/checkpoints/step-00000004");
  const NamedTensors second = weights_in(run() + "/checkpoints/step-00000008");
  const NamedTensors mean = weights_in(run() + "/averaged/last");
  ASSERT_EQ(mean.size(), first.size());
  for (std::size_t i = 0; i < mean.size(); ++i) {
    const auto& [name, tensor] = mean[i];
    if (!tensor.is_floating_point()) continue;
    EXPECT_TRUE(at::allclose(tensor, (first[i].second + second[i].second) / 2, 1e-6, 1e-7)) << name;
  }

  const Outcome evaluated = run_program({TRAINYARD_BINARY, "eval", run() + "/averaged", "--json"});
  ASSERT_EQ(evaluated.exit_code, 0) << evaluated.output;
  EXPECT_EQ(nlohmann::json::parse(evaluated.output)["samples"], 128);
  const Outcome begun = train("begun", {"--model.weights", run() + "/averaged/last/model.safetensors"}, "1");
  EXPECT_EQ(begun.exit_code, 0) << begun.output;
  const Outcome resumed = train("resumed", {"--run.resume", run() + "/averaged"});
  EXPECT_EQ(resumed.exit_code, 2);
  EXPECT_THAT(resumed.output, HasSubstr("has weights alone"));
  EXPECT_EQ(std::filesystem::canonical(run() + "/checkpoints/last").filename(), "step-00000008")
      << "the run itself is as it was";
}

TEST_F(AverageCommand, RefusesMoreCheckpointsThanThereAre) {
  const Outcome outcome = run_program({TRAINYARD_BINARY, "average", run(), "--last", "5"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.output, HasSubstr("has 2 checkpoints, 5 are to be averaged; train with checkpoint.keep = 5"));
  const Outcome nowhere = run_program({TRAINYARD_BINARY, "average", run() + "/nowhere"});
  EXPECT_EQ(nowhere.exit_code, 2);
  EXPECT_THAT(nowhere.output, HasSubstr("there is no run"));
}

TEST_F(AverageCommand, SaysWhetherEpochsOrCheckpointsAreMissing) {
  ASSERT_EQ(train("short", {}, "1").exit_code, 0);
  const Outcome alone = run_program({TRAINYARD_BINARY, "average", *dir_ / "short"});
  EXPECT_EQ(alone.exit_code, 2);
  EXPECT_THAT(alone.output, HasSubstr("short has 1 checkpoint, 2 are to be averaged; train more epochs"));
}

TEST_F(AverageCommand, ByDefaultAnOlderBestCheckpointIsLeftOut) {
  ASSERT_EQ(train("longer", {}, "6").exit_code, 0);
  std::filesystem::create_directories(*dir_ / "longer/checkpoints/step-00000004");  // stands for the best one
  const Outcome averaged = run_program({TRAINYARD_BINARY, "average", *dir_ / "longer"});
  ASSERT_EQ(averaged.exit_code, 0) << averaged.output;
  EXPECT_THAT(averaged.output, HasSubstr("averaged 2 checkpoints: step-00000020, step-00000024\n"));
}

TEST_F(AverageCommand, RefusesAFolderThatIsNoRun) {
  const TempDir dir;
  const Outcome outcome = run_program({TRAINYARD_BINARY, "average", dir.path()});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.output, HasSubstr("[average] " + std::string(dir.path()) + " is not a run's folder"));
}

}  // namespace
}  // namespace trainyard
