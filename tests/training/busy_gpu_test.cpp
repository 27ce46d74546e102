// Training on a GPU on which another program computes, so that copies and kernels overlap in other ways.

#include <gmock/gmock.h>

#include <ATen/Context.h>

#include "checkpoint/safetensors_torch.h"
#include "report/run_record.h"
#include "support/named_tensors.h"
#include "support/processes.h"
#include "support/subprocess.h"
#include "support/temp_dir.h"
#include "support/tiny_training.h"

namespace trainyard {
namespace {

struct Result {
  NamedTensors weights;
  nlohmann::json scores;  // of train and val, per epoch
  std::string test;       // the line of the closing table
};

// The columns of `epochs` whose values do not depend on how fast the machine is.
nlohmann::json scores_of(const nlohmann::json& epochs) {
  nlohmann::json scores = nlohmann::json::array();
  for (const auto& epoch : epochs) {
    nlohmann::json& row = scores.emplace_back(nlohmann::json::object());
    for (const auto& [name, value] : epoch.items()) {
      if (name.starts_with("train/") || name.starts_with("val/")) row[name] = value;
    }
  }
  return scores;
}

std::string line_with(const std::string& word, const std::string& text) {
  const std::size_t begin = text.find(word);
  return begin == std::string::npos ? "" : text.substr(begin, text.find('\n', begin) - begin);
}

TEST(BusyGpu, TrainingEndsWithTheBitsOfAnIdleOne) {
  if (!at::hasCUDA()) GTEST_SKIP() << "needs a GPU";
  const TempDir dir;
  const auto train = [&](const std::string& name) {
    std::vector<std::string> words = tiny_training(
        dir / "runs", name, "3",
        {"--data.synthetic.samples", "20000", "--data.synthetic.shape", "28,28,1", "--model.name", "resnet18",
         "--model.resnet.stem", "small", "--loader.workers", "4", "--loader.batch_size", "256", "--train.device",
         "cuda:0", "--train.precision", "bf16", "--train.deterministic", "true"});
    for (const char* const transform : {"random_crop(padding=2)", "random_horizontal_flip", "random_erasing(p=0.5)"}) {
      words.insert(words.end(), {"--transform.train", transform});
    }
    const Outcome outcome = run_program(words);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
    const std::string folder = dir / ("runs/" + name);
    return Result{.weights = load_safetensors(folder + "/checkpoints/last/model.safetensors"),
                  .scores = scores_of(read_run(folder).epochs),
                  .test = line_with("test/accuracy", outcome.output)};
  };
  const Result idle = train("idle");
  // Its captured steps and copies take the GPU's time for as long as it is asked for.
  Subprocess other({TRAINYARD_BINARY, "bench", "step", "--data.name", "synthetic", "--data.synthetic.shape",
                    "224,224,3", "--model.name", "resnet50", "--train.precision", "bf16", "--loader.batch_size", "64",
                    "--train.device", "cuda:0", "--seconds", "3600", "--rounds", "1"});
  const Result busy = train("busy");
  EXPECT_TRUE(other.is_running()) << other.output_so_far();
  EXPECT_TRUE(are_equal(idle.weights, busy.weights));
  EXPECT_THAT(idle.scores, testing::SizeIs(3));
  EXPECT_EQ(idle.scores, busy.scores);
  EXPECT_THAT(idle.test, testing::HasSubstr("on all 4000 samples"));
  EXPECT_EQ(idle.test, busy.test);
}

}  // namespace
}  // namespace trainyard
