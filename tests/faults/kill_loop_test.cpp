// Training that is killed, or loses power or its disk, at any moment resumes at the next start and ends with the same
// weights as an undisturbed run, bit for bit. TRAINYARD_KILL_RUNS sets the number of runs; make test-kill does 200.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <thread>

#include <gmock/gmock.h>
#include <signal.h>

#include "support/kill_runs.h"
#include "support/subprocess.h"
#include "support/table_files.h"
#include "support/task_data.h"
#include "support/temp_dir.h"
#include "support/tiny_training.h"
#include "util/random.h"
#include "util/system.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;

struct Case {
  const char* name;
  std::uint64_t share;  ///< the case takes one in `share` of the requested runs
  std::vector<std::string> flags;
};

// Everything that has state or is random: optimizer, averaged weights, scaler, drawn samples, augmentation, mixup.
Case classification() {
  return {
      "classification",
      1,
      {"--data.synthetic.samples", "96", "--data.synthetic.classes", "4", "--model.name", "convnet",
       "--model.freeze_stages", "1", "--optimizer.layer_decay", "0.8", "--transform.train", "random_crop(padding=1)",
       "--loader.sampling", "balanced", "--task.classification.mixup", "0.4", "--task.classification.cutmix", "0.4"}};
}

// The confusion matrix of the current epoch, masks that are cropped with their images, and ignored pixels.
Case segmentation() {
  return {"segmentation", 3, {"--task.name",        "segmentation",
                              "--data.name",        "image_masks",
                              "--data.root",        "scenes",
                              "--data.channels",    "1",
                              "--data.val",         "16",
                              "--model.name",       "unet",
                              "--model.unet.width", "4",
                              "--model.unet.depth", "2",
                              "--transform.train",  "random_crop(size=16, padding=2)",
                              "--transform.train",  "random_horizontal_flip"}};
}

// Mixed labels, and the best epoch by a collected metric.
Case multi_label() {
  return {"multi_label",
          3,
          {"--task.name",
           "multi_label",
           "--data.name",
           "image_labels",
           "--data.root",
           "labelled",
           "--data.channels",
           "1",
           "--data.val",
           "16",
           "--model.name",
           "convnet",
           "--task.multi_label.loss",
           "asymmetric",
           "--task.multi_label.positive_weights",
           "balanced",
           "--task.multi_label.mixup",
           "0.4",
           "--transform.train",
           "random_horizontal_flip"}};
}

// Sums of a regression's errors, and an embedding.
Case regression() {
  return {"regression",
          3,
          {"--task.name", "regression", "--data.name", "csv", "--data.root", "table", "--data.csv.target", "price",
           "--data.csv.ignore", "size", "--data.val", "16", "--model.name", "mlp", "--model.mlp.width", "16",
           "--model.mlp.dropout", "0.1"}};
}

// Windows at random positions.
Case language_model() {
  return {"language_model", 3, {"--task.name",           "language_model",
                                "--data.name",           "text",
                                "--data.root",           "text",
                                "--data.text.context",   "16",
                                "--model.name",          "gpt",
                                "--model.gpt.layers",    "2",
                                "--model.gpt.heads",     "2",
                                "--model.gpt.width",     "16",
                                "--model.gpt.dropout",   "0.1",
                                "--model.gpt.drop_path", "0.2",
                                "--train.recompute",     "true"}};
}

class KillLoop : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    write_scenes(dir_, "scenes", 96);
    write_labelled_images(dir_, "labelled", 96);
    write_text(dir_, "text", 2400);
    write_table(dir_, "table/train.csv", 96);
  }

  std::vector<std::string> command(const std::string& run, int workers) const {
    std::vector<std::string> flags = GetParam().flags;
    for (std::size_t i = 0; i < flags.size(); i += 2) {
      if (flags[i] == "--data.root") flags[i + 1] = dir_ / flags[i + 1];
    }
    const std::vector<std::string> common = {
        "--loader.batch_size",      "8",     "--loader.workers",  std::to_string(workers),
        "--optimizer.name",         "adamw", "--optimizer.lr",    "0.003",
        "--train.precision",        "fp16",  "--train.ema_decay", "0.9",
        "--train.accumulate",       "2",     "--train.log_every", "5",
        "--checkpoint.every_steps", "2",     "--checkpoint.keep", "1"};
    flags.insert(flags.end(), common.begin(), common.end());
    return tiny_training(dir_ / "runs", run, "3", flags);
  }

  std::vector<std::string> faulty(const std::string& fault) const {
    return {"LD_PRELOAD=" TRAINYARD_FAULTY_DISK,
            "TRAINYARD_FAULT_ROOT=" + fs::canonical(dir_.path()).string() + "/runs", "TRAINYARD_FAULT=" + fault};
  }

  std::string content(const std::string& run, const char* file) const {
    return read_text_file(dir_ / ("runs/" + run + "/checkpoints/last/" + file), "test");
  }

  TempDir dir_;
};

TEST_P(KillLoop, EndsWithTheWeightsOfTheUndisturbedRun) {
  const std::uint64_t runs = std::max<std::uint64_t>(kill_runs(9) / GetParam().share, 1);
  const Outcome whole = run_program(command("whole", 0));
  ASSERT_EQ(whole.exit_code, 0) << whole.output;

  const std::vector<std::string> kinds = {"",       "kill", "power_cut", "power_cut", "kill",
                                          "enospc", "eio",  "short",     "power_cut"};
  std::map<std::string, int> struck;  // number of runs per kind that the fault ended or disturbed
  for (std::uint64_t i = 0; i < runs; ++i) {
    RandomStream random(key_of({key_of("kill loop"), i}));
    const std::string run = "run-" + std::to_string(i);
    const std::string kind = kinds[i % kinds.size()];
    const int workers = static_cast<int>(i % 3);
    std::string story;
    // Most runs have one fault, some another one after they resume.
    for (std::uint64_t strike = 0; strike <= i % 4 / 3; ++strike) {
      Outcome outcome;
      std::string what;
      if (kind.empty()) {
        const auto after = std::chrono::milliseconds(random.below(2500));
        what = fmt::format("SIGKILL after {} ms", after.count());
        Subprocess child(command(run, workers));
        std::this_thread::sleep_for(after);
        child.signal(SIGKILL);
        outcome = child.wait();
      } else {
        what = fmt::format("{}:{}", kind, kind == "short" ? 0 : 1 + random.below(500));
        outcome = run_program(command(run, workers), faulty(what));
      }
      story += what + ", ";
      SCOPED_TRACE(run + ", " + what + "\n" + outcome.output);
      const bool killed = outcome.exit_code == 128 + SIGKILL;
      if (killed || outcome.exit_code == 1 || outcome.output.find("is not saved") != std::string::npos) ++struck[kind];
      ASSERT_TRUE(outcome.exit_code == 0 || outcome.exit_code == 1 || killed) << outcome.exit_code;
      ASSERT_FALSE(killed && (kind == "enospc" || kind == "eio" || kind == "short"));
      ASSERT_TRUE(kind != "short" || outcome.exit_code == 0);
    }
    const Outcome finished = run_program(command(run, workers));
    SCOPED_TRACE(run + " to its end\n" + finished.output);
    ASSERT_EQ(finished.exit_code, 0);
    for (const char* file : {"model.safetensors", "ema.safetensors", "state.safetensors"}) {
      ASSERT_TRUE(content(run, file) == content("whole", file)) << file << " differs";
    }
    fs::remove_all(dir_ / ("runs/" + run));
    fmt::print("{} of {}: {}{} workers: the same weights\n", i + 1, runs, story, workers);
    std::fflush(stdout);
  }
  std::string summary;
  for (const auto& [kind, count] : struck) {
    summary += fmt::format(" {} {},", kind.empty() ? "SIGKILL" : kind, count);
  }
  fmt::print("{} runs, all with the weights of the undisturbed one; struck:{}\n", runs, summary);
}

INSTANTIATE_TEST_SUITE_P(Tasks, KillLoop,
                         testing::Values(classification(), segmentation(), multi_label(), regression(),
                                         language_model()),
                         [](const auto& instance) { return std::string(instance.param.name); });

}  // namespace
}  // namespace trainyard
