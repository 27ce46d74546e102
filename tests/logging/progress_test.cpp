#include "logging/progress.h"

#include <gmock/gmock.h>

namespace trainyard {
namespace {

const ProgressState middle_of_a_run{.epoch = 2,
                                    .epochs = 5,
                                    .step = 300,
                                    .steps = 469,
                                    .metrics = {{"loss", 0.31244}, {"accuracy", 0.8891}},
                                    .samples_per_second = 6120.4,
                                    .data_wait = 0.012,
                                    .seconds_left = 41};

TEST(FormatProgress, NamesEverything) {
  EXPECT_EQ(format_progress(middle_of_a_run),
            "epoch 2/5  step 300/469  train/loss 0.3124  train/accuracy 0.889  6120/s  wait 1 %  left 41 s");
}

TEST(FormatDuration, ReadsAsAClock) {
  EXPECT_EQ(format_duration(0), "0 s");
  EXPECT_EQ(format_duration(59.4), "59 s");
  EXPECT_EQ(format_duration(185), "3:05");
  EXPECT_EQ(format_duration(2 * 3600 + 3 * 60 + 5), "2:03:05");
}

TEST(FormatProgress, NamesTheMemoryOfAGpu) {
  ProgressState state = middle_of_a_run;
  state.gpu_memory = (std::uint64_t{7} << 30) / 2;
  EXPECT_EQ(
      format_progress(state),
      "epoch 2/5  step 300/469  train/loss 0.3124  train/accuracy 0.889  6120/s  wait 1 %  GPU 3.5 GiB  left 41 s");
}

TEST(FormatProgress, LeavesOutATimeThatIsNotKnown) {
  ProgressState state = middle_of_a_run;
  state.seconds_left = std::nullopt;
  EXPECT_THAT(format_progress(state), testing::EndsWith("  wait 1 %"));
}

TEST(FormatProgress, LeavesOutTheLeastImportantPartsOnSmallTerminals) {
  EXPECT_EQ(format_progress(middle_of_a_run, 200), format_progress(middle_of_a_run));
  EXPECT_EQ(format_progress(middle_of_a_run, 60), "epoch 2/5  step 300/469  train/loss 0.3124  left 41 s");
  EXPECT_EQ(format_progress(middle_of_a_run, 45), "epoch 2/5  train/loss 0.3124  left 41 s");
  EXPECT_EQ(format_progress(middle_of_a_run, 12), "epoch 2/5");
  EXPECT_EQ(format_progress(middle_of_a_run, 4), "epoc");
  for (std::size_t columns = 1; columns < 100; ++columns)
    EXPECT_LE(format_progress(middle_of_a_run, columns).size(), columns);
}

TEST(Progress, WritesPlainLinesWhereThereIsNoTerminal) {
  testing::internal::CaptureStdout();
  {
    Progress progress;
    EXPECT_FALSE(progress.due());
    progress.show(middle_of_a_run);
    progress.print("epoch done");
  }
  EXPECT_EQ(testing::internal::GetCapturedStdout(), format_progress(middle_of_a_run) + "\nepoch done\n");
}

}  // namespace
}  // namespace trainyard
