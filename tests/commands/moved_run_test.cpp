// Uses a run whose data was given by a relative path from folders other than the one it was trained in.

#include <filesystem>

#include <gmock/gmock.h>

#include "support/subprocess.h"
#include "support/temp_dir.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

class MovedRun : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    dir_ = std::make_unique<TempDir>();
    fs::create_directories(*dir_ / "clone");
    fs::create_directories(*dir_ / "elsewhere");
    const Outcome packed = in("clone",
                              "pack mine --data.name synthetic --data.synthetic.samples 640 --data.synthetic.classes 5 "
                              "--data.synthetic.shape 16,16,3");
    ASSERT_EQ(packed.exit_code, 0) << packed.output;
    const Outcome trained = in("clone",
                               "train --data.name packed --data.root mine --train.epochs 1 --run.name a "
                               "--train.device cpu --loader.workers 1");
    ASSERT_EQ(trained.exit_code, 0) << trained.output;
  }
  static void TearDownTestSuite() { dir_.reset(); }

  static Outcome in(const std::string& folder, const std::string& words) {
    return run_program({"sh", "-c", "cd '" + *dir_ / folder + "' && exec " TRAINYARD_BINARY " " + words});
  }

  static inline std::unique_ptr<TempDir> dir_;
};

TEST_F(MovedRun, IsEvaluatedAndReportedFromAnotherFolder) {
  const Outcome evaluated = in("elsewhere", "eval ../clone/runs/a --train.device cpu");
  EXPECT_EQ(evaluated.exit_code, 0) << evaluated.output;
  EXPECT_THAT(evaluated.output, HasSubstr("on all 128 samples"));
  const Outcome reported = in("elsewhere", "report ../clone/runs/a --train.device cpu");
  EXPECT_EQ(reported.exit_code, 0) << reported.output;
  EXPECT_THAT(reported.output, Not(HasSubstr("without its predictions")));
}

TEST_F(MovedRun, ConfigurationTrainsAgainFromAnotherFolder) {
  const Outcome trained = in("elsewhere", "train --config ../clone/runs/a/config.toml --train.fast_dev_run");
  EXPECT_EQ(trained.exit_code, 0) << trained.output;
  EXPECT_TRUE(fs::exists(*dir_ / "elsewhere/runs/scratch/a")) << "new runs go to the current folder";
}

TEST_F(MovedRun, MovedCloneFindsItsDataAndSaysSo) {
  fs::rename(*dir_ / "clone", *dir_ / "moved");
  const Outcome evaluated = in("moved", "eval runs/a --train.device cpu");
  const Outcome elsewhere = in("elsewhere", "eval ../moved/runs/a --train.device cpu");
  fs::rename(*dir_ / "moved", *dir_ / "clone");
  EXPECT_EQ(evaluated.exit_code, 0) << evaluated.output;
  EXPECT_THAT(evaluated.output, HasSubstr("mine in the current folder is used instead"));
  EXPECT_EQ(elsewhere.exit_code, 2);
  EXPECT_THAT(elsewhere.output, HasSubstr(*dir_ / "clone/mine"));
}

}  // namespace
}  // namespace trainyard
