/// A small trained run for the tests of commands that read one.
#pragma once

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/subprocess.h"
#include "support/temp_dir.h"

namespace trainyard {

/// Trains a run with the program, on synthetic images of 5 classes: 512 in train, 128 in val and in test. All tests of
/// a suite share it.
class SmallRun : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    dir_ = std::make_unique<TempDir>();
    const Outcome trained = train("a");
    ASSERT_EQ(trained.exit_code, 0) << trained.output;
  }
  static void TearDownTestSuite() { dir_.reset(); }

  static Outcome train(const std::string& name, const std::vector<std::string>& more = {},
                       const std::string& epochs = "2") {
    std::vector<std::string> words = {TRAINYARD_BINARY,
                                      "train",
                                      "--data.name",
                                      "synthetic",
                                      "--data.synthetic.samples",
                                      "640",
                                      "--data.val",
                                      "128",
                                      "--data.synthetic.classes",
                                      "5",
                                      "--data.synthetic.shape",
                                      "16,16,3",
                                      "--train.log_every",
                                      "2",
                                      "--train.epochs",
                                      epochs,
                                      "--run.dir",
                                      *dir_ / "",
                                      "--run.name",
                                      name,
                                      "--loader.workers",
                                      "1",
                                      "--train.device",
                                      "cpu",
                                      "--optimizer.lr",
                                      "0.01"};
    words.insert(words.end(), more.begin(), more.end());
    return run_program(words);
  }

  static std::string run() { return *dir_ / "a"; }

  static inline std::unique_ptr<TempDir> dir_;
};

}  // namespace trainyard
