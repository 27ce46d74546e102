#include <sstream>

#include <gmock/gmock.h>

#include "datasets/dataset.h"
#include "models/model.h"
#include "support/subprocess.h"
#include "support/temp_dir.h"
#include "tasks/task.h"
#include "transforms/transform.h"

namespace trainyard {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::IsEmpty;

constexpr const char* no_files = "compopt +o default";

class Completion : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    dir_ = new TempDir;
    const Outcome outcome = run_program({TRAINYARD_BINARY, "completion", "bash"});
    EXPECT_EQ(outcome.exit_code, 0);
    dir_->write("completion.bash", outcome.output);
  }
  static void TearDownTestSuite() { delete dir_; }

  // Returns what bash offers for the last of these words, split as bash splits them.
  static std::vector<std::string> offered(const std::vector<std::string>& words) {
    // The builtin compopt works only during completion. This replacement shows that no file names are offered.
    const std::string script = R"(source "$1"; shift
      compopt() { echo "compopt $*"; }
      COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
      _trainyard
      ((${#COMPREPLY[@]} == 0)) || printf '%s\n' "${COMPREPLY[@]}")";
    std::vector<std::string> command = {"bash", "-uc", script, "bash", *dir_ / "completion.bash"};
    command.insert(command.end(), words.begin(), words.end());
    const Outcome outcome = run_program(command);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
    std::vector<std::string> lines;
    std::istringstream text(outcome.output);
    for (std::string line; std::getline(text, line);) lines.push_back(line);
    return lines;
  }

  static TempDir* dir_;
};
TempDir* Completion::dir_ = nullptr;

TEST_F(Completion, OffersCommands) {
  EXPECT_THAT(offered({"trainyard", "tr"}), ElementsAre("train"));
  EXPECT_THAT(offered({"trainyard", "--v"}), ElementsAre("--version"));
  EXPECT_THAT(offered({"trainyard", "help", "setti"}), ElementsAre("settings"));
}

TEST_F(Completion, OffersSettingsAndFlagsOfTheCommand) {
  EXPECT_THAT(offered({"trainyard", "train", "--train.prec"}), ElementsAre("--train.precision"));
  EXPECT_THAT(offered({"trainyard", "train", "--train.dry"}), ElementsAre("--train.dry_run"));
  EXPECT_THAT(offered({"trainyard", "eval", "--train.dry"}), IsEmpty());
  EXPECT_THAT(offered({"trainyard", "report", "--out"}), ElementsAre("--output"));
  EXPECT_THAT(offered({"trainyard", "bench", "step", "--roun"}), ElementsAre("--rounds"));
  EXPECT_THAT(offered({"trainyard", "train", ""}), Contains("--config"));
  EXPECT_THAT(offered({"trainyard", "average", "--"}), ElementsAre("--help", "--last")) << "uses no settings";
  EXPECT_THAT(offered({"trainyard", "report", "--data."}), ElementsAre("--data.root")) << "the only one that it uses";
}

TEST_F(Completion, OffersWhatAValueMayBe) {
  EXPECT_THAT(offered({"trainyard", "train", "--train.precision", ""}), ElementsAre("fp32", "tf32", "bf16", "fp16"));
  EXPECT_THAT(offered({"trainyard", "train", "--train.precision", "=", "b"}), ElementsAre("bf16"));
  EXPECT_THAT(offered({"trainyard", "train", "--train.precision", "="}), ElementsAre("fp32", "tf32", "bf16", "fp16"));
  EXPECT_THAT(offered({"trainyard", "train", "--train.deterministic", "t"}), ElementsAre("true"));
  EXPECT_THAT(offered({"trainyard", "eval", "--split", "v"}), ElementsAre("val"));
  EXPECT_THAT(offered({"trainyard", "list", "mo"}), ElementsAre("models"));
  EXPECT_THAT(offered({"trainyard", "completion", ""}), ElementsAre("bash"));
  EXPECT_THAT(offered({"trainyard", "bench", ""}), ElementsAre("step", "loader", "decode"));
}

TEST_F(Completion, OffersRegisteredNames) {
  EXPECT_THAT(offered({"trainyard", "train", "--task.name", ""}), ElementsAreArray(TaskRegistry::names()));
  EXPECT_THAT(offered({"trainyard", "train", "--model.name", ""}), ElementsAreArray(ModelRegistry::names()));
  EXPECT_THAT(offered({"trainyard", "train", "--data.name", ""}), ElementsAreArray(DatasetRegistry::names()));
  EXPECT_THAT(offered({"trainyard", "train", "--transform.test", ""}), ElementsAreArray(TransformRegistry::names()));
}

TEST_F(Completion, LeavesPathsToBashAndOffersNothingForNumbers) {
  EXPECT_THAT(offered({"trainyard", "train", "--config", ""}), IsEmpty());
  EXPECT_THAT(offered({"trainyard", "predict", ""}), IsEmpty());
  EXPECT_THAT(offered({"trainyard", "train", "--data.root", ""}), IsEmpty());
  EXPECT_THAT(offered({"trainyard", "train", "--train.epochs", ""}), ElementsAre(no_files));
}

}  // namespace
}  // namespace trainyard
