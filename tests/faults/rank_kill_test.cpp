// Killing a rank at any moment costs only the steps since the last checkpoint: with distributed.max_restarts the run
// restarts there by itself, and ends with the same weights as an undisturbed run, bit for bit. If the launcher is
// killed, the same command resumes. TRAINYARD_KILL_RUNS sets the number of runs.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include <gmock/gmock.h>
#include <signal.h>

#include "support/kill_runs.h"
#include "support/processes.h"
#include "support/ranks.h"
#include "support/subprocess.h"
#include "support/temp_dir.h"
#include "support/tiny_training.h"
#include "util/random.h"
#include "util/system.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;

bool has_ranks(const Subprocess& launcher) {
  return comes_true([&] { return ranks_of(launcher).size() == 2; });
}

class RankKillLoop : public testing::Test {
 protected:
  // Everything that has state or is random, as in kill_loop_test.cpp.
  std::vector<std::string> command(const std::string& run) const {
    std::vector<std::string> words = tiny_training(dir_ / "runs", run, "6",
                                                   {"--data.synthetic.samples",
                                                    "96",
                                                    "--data.synthetic.classes",
                                                    "4",
                                                    "--model.name",
                                                    "convnet",
                                                    "--transform.train",
                                                    "random_crop(padding=1)",
                                                    "--task.classification.mixup",
                                                    "0.4",
                                                    "--loader.batch_size",
                                                    "8",
                                                    "--loader.workers",
                                                    "1",
                                                    "--optimizer.name",
                                                    "adamw",
                                                    "--optimizer.lr",
                                                    "0.003",
                                                    "--train.precision",
                                                    "fp16",
                                                    "--train.ema_decay",
                                                    "0.9",
                                                    "--train.accumulate",
                                                    "2",
                                                    "--checkpoint.every_steps",
                                                    "2",
                                                    "--checkpoint.keep",
                                                    "1",
                                                    "--distributed.max_restarts",
                                                    "3",
                                                    "--distributed.timeout",
                                                    "20"});
    words[0] = TRAINYARD_RANK_PROGRAM;
    words[1] = "train_on_cpus";
    return words;
  }

  std::string content(const std::string& run, const char* file) const {
    return read_text_file(dir_ / ("runs/" + run + "/checkpoints/last/" + file), "test");
  }

  TempDir dir_;
};

TEST_F(RankKillLoop, EndsWithTheWeightsOfTheUndisturbedRun) {
  Subprocess undisturbed(command("whole"));
  ASSERT_TRUE(has_ranks(undisturbed)) << undisturbed.output_so_far();
  const auto begin = std::chrono::steady_clock::now();
  const Outcome whole = undisturbed.wait();
  ASSERT_EQ(whole.exit_code, 0) << whole.output;
  const auto duration =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin).count();

  const std::uint64_t runs = std::max<std::uint64_t>(kill_runs(5), 1);
  std::uint64_t struck = 0;
  for (std::uint64_t i = 0; i < runs; ++i) {
    RandomStream random(key_of({key_of("rank kill loop"), i}));
    const std::string run = "run-" + std::to_string(i);
    const bool strikes_launcher = i % 5 == 4;
    Subprocess launcher(command(run));
    ASSERT_TRUE(has_ranks(launcher)) << launcher.output_so_far();
    std::this_thread::sleep_for(std::chrono::milliseconds(random.below(static_cast<std::uint64_t>(duration) * 3 / 4)));
    const std::vector<pid_t> ranks = ranks_of(launcher);
    const std::string victim = strikes_launcher ? "launcher" : ranks.empty() ? "nobody" : "rank";
    if (strikes_launcher) {
      launcher.signal(SIGKILL);
    } else if (!ranks.empty()) {
      kill(ranks[random.below(ranks.size())], SIGKILL);
    }
    Outcome outcome = launcher.wait();
    SCOPED_TRACE(fmt::format("{}, {} killed\n{}", run, victim, outcome.output));
    if (strikes_launcher) {
      for (const pid_t rank : ranks) ASSERT_TRUE(comes_true([&] { return has_ended(rank); }));
      outcome = run_program(command(run));
    }
    ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
    struck += strikes_launcher || outcome.output.find("restart 1,") != std::string::npos ? 1U : 0U;
    for (const char* file : {"model.safetensors", "ema.safetensors", "state.safetensors"}) {
      ASSERT_TRUE(content(run, file) == content("whole", file)) << file << " differs";
    }
    fs::remove_all(dir_ / ("runs/" + run));
    fmt::print("{} of {}: {} killed: the same weights\n", i + 1, runs, victim);
    std::fflush(stdout);
  }
  fmt::print("{} runs, all with the weights of the undisturbed one; {} were struck\n", runs, struck);
}

}  // namespace
}  // namespace trainyard
