// Tests loader.cache = gpu through the program.

#include <filesystem>

#include <gmock/gmock.h>

#include <ATen/Context.h>

#include "support/step_losses.h"
#include "support/subprocess.h"
#include "support/temp_dir.h"
#include "util/torch.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class GpuCache : public testing::Test {
 protected:
  Outcome train_on(const std::string& device, const std::string& name, const std::string& cache) const {
    return run_program({TRAINYARD_BINARY,
                        "train",
                        "--data.name",
                        "synthetic",
                        "--data.synthetic.samples",
                        "640",
                        "--data.synthetic.classes",
                        "5",
                        "--data.synthetic.shape",
                        "16,16,3",
                        "--train.epochs",
                        "2",
                        "--run.dir",
                        dir_ / "",
                        "--run.name",
                        name,
                        "--loader.workers",
                        "1",
                        "--train.device",
                        device,
                        "--loader.cache",
                        cache,
                        "--train.deterministic",
                        "true",
                        "--train.log_every",
                        "1",
                        "--transform.train",
                        "resize(size=12)",
                        "--transform.train",
                        "random_horizontal_flip",
                        "--transform.test",
                        "resize(size=12)"});
  }

  TempDir dir_;
};

TEST_F(GpuCache, WithoutAGpuIsAnErrorOfTheMachineAndLeavesNothingBehind) {
  if (at::hasCUDA()) GTEST_SKIP() << "there is a GPU";
  const Outcome outcome = train_on("auto", "refused", "gpu");
  EXPECT_EQ(outcome.exit_code, 3) << outcome.output;
  EXPECT_THAT(outcome.output, AllOf(HasSubstr("[loader.cache]"), HasSubstr("set loader.cache = none or shm")));
  EXPECT_FALSE(std::filesystem::exists(dir_ / "refused"));
}

TEST_F(GpuCache, GivesTheLossesOfARunWithoutItAndSaysWhatItGathered) {
  if (!at::hasCUDA()) GTEST_SKIP() << "needs a GPU";
  ASSERT_EQ(train_on("cuda", "none", "none").exit_code, 0);
  const Outcome outcome = train_on("cuda", "gpu", "gpu");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_THAT(outcome.output, AllOf(HasSubstr("576 + 64 samples put on cuda:0"), HasSubstr("gathered on the GPU"),
                                    HasSubstr("report.html")));
  EXPECT_EQ(step_losses(dir_ / "gpu"), step_losses(dir_ / "none"));
}

TEST_F(GpuCache, ARunEvaluatesOnTheCpuToo) {
  if (!at::hasCUDA()) GTEST_SKIP() << "needs a GPU";
  ASSERT_EQ(train_on("cuda", "moved", "gpu").exit_code, 0);
  const Outcome outcome = run_program({TRAINYARD_BINARY, "eval", dir_ / "moved", "--train.device", "cpu"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
}

}  // namespace
}  // namespace trainyard
