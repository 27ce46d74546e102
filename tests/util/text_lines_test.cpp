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

}  // namespace
}  // namespace trainyard
