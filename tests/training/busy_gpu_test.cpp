// Training on a GPU on which another program computes, so that copies and kernels overlap in other ways.

#include <gmock/gmock.h>

#include <ATen/Context.h>

#include "checkpoint/safetensors_torch.h"
#include "support/named_tensors.h"
#include "support/processes.h"
#include "support/subprocess.h"
#include "support/temp_dir.h"
#include "support/tiny_training.h"

namespace trainyard {
namespace {

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
    return load_safetensors(dir / ("runs/" + name + "/checkpoints/last/model.safetensors"));
  };
  const NamedTensors idle = train("idle");
  // Its captured steps and copies take the GPU's time for as long as it is asked for.
  Subprocess other({TRAINYARD_BINARY, "bench", "step", "--data.name", "synthetic", "--data.synthetic.shape",
                    "224,224,3", "--model.name", "resnet50", "--train.precision", "bf16", "--loader.batch_size", "64",
                    "--train.device", "cuda:0", "--seconds", "3600", "--rounds", "1"});
  const NamedTensors busy = train("busy");
  EXPECT_TRUE(other.is_running()) << other.output_so_far();
  EXPECT_TRUE(are_equal(idle, busy));
}

}  // namespace
}  // namespace trainyard
