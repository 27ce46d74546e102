// Training on several GPUs, one rank each, with NCCL and CUDA graphs. Needs two GPUs.

#include <cstdlib>
#include <filesystem>

#include <gmock/gmock.h>
#include <signal.h>

#include <torch/cuda.h>

#include "checkpoint/safetensors_torch.h"
#include "support/named_tensors.h"
#include "support/prints.h"
#include "support/processes.h"
#include "support/ranks.h"
#include "support/subprocess.h"
#include "support/temp_dir.h"
#include "support/tiny_training.h"
#include "util/system.h"

namespace trainyard {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;
using Flags = std::vector<std::string>;

class GpuRanks : public testing::Test {
 protected:
  void SetUp() override {
    if (torch::cuda::device_count() < 2) GTEST_SKIP() << "needs two GPUs";
  }

  std::vector<std::string> command(const std::string& run, const std::string& device, const std::string& epochs,
                                   const Flags& more = {}) const {
    Flags flags = {"--train.device",
                   device,
                   "--data.synthetic.samples",
                   "520",
                   "--data.synthetic.shape",
                   "16,16,3",
                   "--data.val",
                   "8",
                   "--model.name",
                   "convnet",
                   "--loader.batch_size",
                   "64",
                   "--train.deterministic",
                   "true",
                   "--train.accumulate",
                   "2",
                   "--train.ema_decay",
                   "0.9",
                   "--optimizer.lr",
                   "0.01"};
    flags.insert(flags.end(), more.begin(), more.end());
    return tiny_training(dir_ / "runs", run, epochs, flags);
  }

  void train(const std::string& run, const std::string& device, const Flags& more = {}) const {
    const Outcome outcome = run_program(command(run, device, "4", more));
    ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  }

  NamedTensors saved(const std::string& run, const char* file = "model.safetensors") const {
    return load_safetensors(dir_ / ("runs/" + run + "/checkpoints/last/" + file));
  }

  void expect_equal(const std::string& run, const std::string& other) const {
    for (const char* file : {"model.safetensors", "ema.safetensors", "state.safetensors"}) {
      EXPECT_TRUE(are_equal(saved(run, file), saved(other, file))) << file;
    }
  }

  double difference(const std::string& run, const std::string& other) const {
    return largest_difference(saved(run), saved(other));
  }

  TempDir dir_;
};

TEST_F(GpuRanks, SynchronizedBatchNormGivesTheWeightsOfOneGpu) {
  const Flags synchronized = {"--distributed.sync_batch_norm", "true"};
  train("one", "cuda:0", synchronized);
  train("two", "cuda:0,1", synchronized);
  train("local", "cuda:0,1");
  // Parts of a batch use other convolution kernels, and ReLU amplifies small differences. In float64 on CPUs, the
  // weights are equal up to rounding (training_test.cpp).
  EXPECT_LT(difference("two", "one"), 5e-3);
  EXPECT_LT(difference("two", "one"), 0.1 * difference("local", "one"));
}

TEST_F(GpuRanks, AReplayedStepGivesTheBitsOfALaunchedOne) {
  for (const char* const synchronized : {"false", "true"}) {
    const Flags flags = {"--distributed.sync_batch_norm", synchronized, "--train.clip_grad_norm", "0.5"};
    Flags launched = flags;
    launched.insert(launched.end(), {"--train.cuda_graph", "false"});
    const std::string name = synchronized;
    train("replayed-" + name, "cuda:0,1", flags);
    train("launched-" + name, "cuda:0,1", launched);
    expect_equal("replayed-" + name, "launched-" + name);
  }
}

TEST_F(GpuRanks, AKilledRankCostsNothingButTime) {
  const Flags flags = {"--checkpoint.every_steps", "3", "--distributed.max_restarts", "2",
                       "--distributed.timeout",    "20"};
  ASSERT_EQ(run_program(command("whole", "cuda:0,1", "40", flags)).exit_code, 0);
  Subprocess launcher(command("killed", "cuda:0,1", "40", flags));
  ASSERT_TRUE(prints(launcher, "epoch 3/"));
  const std::vector<pid_t> ranks = ranks_of(launcher);
  ASSERT_EQ(ranks.size(), 2U);
  kill(ranks[1], SIGKILL);
  const Outcome outcome = launcher.wait();
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr("restart 1,"));
  expect_equal("killed", "whole");
}

TEST_F(GpuRanks, DataThatFitsOnNoGpuAloneIsSpreadOverThem) {
  // 3.36 GiB. A rank takes almost 2 GiB of what is left free, most of it CUDA and NCCL.
  const Flags flags = {"--model.name",
                       "linear",
                       "--data.synthetic.samples",
                       "24000",
                       "--data.synthetic.shape",
                       "224,224,3",
                       "--loader.workers",
                       "4",
                       "--optimizer.lr",
                       "1e-4",
                       "--data.val",
                       "64"};
  train("loaded", "cuda:0,1", flags);
  const Subprocess other({TRAINYARD_PYTHON, "-c",
                          "import time, torch\n"
                          "held = [torch.empty(torch.cuda.mem_get_info(gpu)[0] - (4500 << 20), dtype=torch.uint8,\n"
                          "                    device=f'cuda:{gpu}') for gpu in (0, 1)]\n"
                          "print('ready', flush=True)\n"
                          "time.sleep(3600)"});
  ASSERT_TRUE(prints(other, "ready"));
  Flags kept = flags;
  kept.insert(kept.end(), {"--loader.cache", "gpu"});
  const Outcome outcome = run_program(command("spread", "cuda:0,1", "4", kept));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr("put on the 2 GPUs of each host"));
  expect_equal("spread", "loaded");
}

// After a kernel traps, e.g. on an out-of-range read, all later CUDA calls of its process fail, even in destructors;
// the other rank waits in NCCL.
TEST_F(GpuRanks, ATrappingKernelIsNamedWithItsRank) {
  std::vector<std::string> words =
      command("trapped", "cuda:0,1", "40", {"--model.name", "trapping", "--distributed.timeout", "20"});
  words[0] = TRAINYARD_RANK_PROGRAM;
  const Outcome outcome = run_program(words);
  EXPECT_EQ(outcome.exit_code, 1) << outcome.output;
  EXPECT_THAT(outcome.output, ContainsRegex("\\[distributed\\] rank 1 of 2 on .*CUDA error: device-side assert"));
  EXPECT_THAT(outcome.output, Not(HasSubstr("was killed")));
}

// Simulates two hosts with one GPU each: two torchrun agents, and only sockets between the GPUs.
TEST_F(GpuRanks, TwoAgentsTrainOverSockets) {
  train("two", "cuda:0,1");
  const ReservedPort port;
  const auto agent = [&](const char* gpu) {
    const std::string endpoint = fmt::format("127.0.0.1:{}", port.number());
    std::vector<std::string> words = {TRAINYARD_PYTHON,
                                      "-m",
                                      "torch.distributed.run",
                                      "--nnodes",
                                      "2",
                                      "--nproc-per-node",
                                      "1",
                                      "--rdzv-backend",
                                      "c10d",
                                      "--rdzv-endpoint",
                                      endpoint,
                                      "--rdzv-id",
                                      "1",
                                      "--log-dir",
                                      "/dev/null",
                                      "--no-python"};
    const std::vector<std::string> training = command("agents", "cuda", "4");
    words.insert(words.end(), training.begin(), training.end());
    return std::make_unique<Subprocess>(
        words, std::vector<std::string>{fmt::format("CUDA_VISIBLE_DEVICES={}", gpu), "NCCL_P2P_DISABLE=1",
                                        "NCCL_SHM_DISABLE=1", "NCCL_SOCKET_IFNAME=lo", "GLOO_SOCKET_IFNAME=lo"});
  };
  const auto first = agent("0");
  const auto second = agent("1");
  for (const Outcome& outcome : {first->wait(), second->wait()}) EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_LT(difference("agents", "two"), 1e-5);
}

}  // namespace
}  // namespace trainyard
