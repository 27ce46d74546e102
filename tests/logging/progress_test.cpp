#include "logging/progress.h"

#include <gtest/gtest.h>

namespace trainyard {
namespace {

constexpr ProgressState kState{.epoch = 2,
                               .epochs = 5,
                               .step = 300,
                               .steps = 469,
                               .loss = 0.31244,
                               .accuracy = 0.8891,
                               .samples_per_second = 6120.4,
                               .data_wait = 0.012,
                               .seconds_left = 41};

TEST(FormatProgress, NamesEverything) {
  EXPECT_EQ(format_progress(kState), "epoch 2/5  step 300/469  loss 0.3124  acc 0.889  6120/s  wait 1 %  left 41 s");
}

TEST(FormatDuration, ReadsAsAClock) {
  EXPECT_EQ(format_duration(0), "0 s");
  EXPECT_EQ(format_duration(59.4), "59 s");
  EXPECT_EQ(format_duration(185), "3:05");
  EXPECT_EQ(format_duration(2 * 3600 + 3 * 60 + 5), "2:03:05");
}

TEST(FitToColumns, DropsWholePartsFromTheEnd) {
  const std::string line = format_progress(kState);
  EXPECT_EQ(fit_to_columns(line, 200), line);
  EXPECT_EQ(fit_to_columns(line, 40), "epoch 2/5  step 300/469  loss 0.3124");
  EXPECT_EQ(fit_to_columns(line, 12), "epoch 2/5");
  EXPECT_EQ(fit_to_columns(line, 4), "epoc");
}

TEST(Progress, WritesPlainLinesWhereThereIsNoTerminal) {
  std::FILE* file = std::tmpfile();
  {
    Progress progress(file);
    EXPECT_FALSE(progress.due());
    progress.show(kState);
    progress.print("epoch done");
  }
  std::rewind(file);
  std::string text(1024, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file));
  std::fclose(file);
  EXPECT_EQ(text, format_progress(kState) + "\nepoch done\n");
}

}  // namespace
}  // namespace trainyard
