#include "util/text_lines.h"

#include <gmock/gmock.h>

namespace trainyard {
namespace {

using testing::ElementsAre;

TEST(TextLines, TakesEveryLineEnding) {
  EXPECT_THAT(text_lines("cat\ndog\n"), ElementsAre("cat", "dog"));
  EXPECT_THAT(text_lines("cat\r\ndog\r\n"), ElementsAre("cat", "dog"));
  EXPECT_THAT(text_lines("cat\ndog"), ElementsAre("cat", "dog"));
}

TEST(TextLines, DropsMarksSpacesAndEmptyEnds) {
  EXPECT_THAT(text_lines("\xef\xbb\xbf"
                         "cat  \n dog\t\n\n \n"),
              ElementsAre("cat", " dog"));
  EXPECT_THAT(text_lines("cat\n\ndog"), ElementsAre("cat", "", "dog"));
  EXPECT_THAT(text_lines(""), ElementsAre());
}

TEST(Trimmed, DropsSpacesAndTabsAroundTheText) {
  EXPECT_EQ(trimmed(" \tcat and dog\t "), "cat and dog");
  EXPECT_EQ(trimmed("cat"), "cat");
  EXPECT_EQ(trimmed(" \t "), "");
  EXPECT_EQ(trimmed(""), "");
}

}  // namespace
}  // namespace trainyard
