#include "commands/page.h"

#include <algorithm>

#include <gmock/gmock.h>

#include "commands/topics.h"
#include "util/text_lines.h"

namespace trainyard {
namespace {

TEST(FittedPage, WrapsParagraphsAndListItems) {
  EXPECT_EQ(fitted_page(
                "# A long heading stays\n\none two\nthree four five\n\n- six seven\n  eight nine ten\n- eleven\n", 15),
            "# A long heading stays\n\none two three\nfour five\n\n- six seven\n  eight nine\n  ten\n- eleven\n");
}

TEST(FittedPage, LeavesTablesAndCodeAsTheyAre) {
  const std::string page =
      "| a wide table | of columns |\n| --- | --- |\n\n    trainyard train --config file\n\n```\na fence of "
      "code\n```\n";
  EXPECT_EQ(fitted_page(page, 10), page);
}

TEST(FittedPage, LosesNoWordOfTheDocumentation) {
  const auto words = [](std::string text) {
    std::erase_if(text, [](char c) { return c == ' ' || c == '\n'; });
    return text;
  };
  for (const std::string& topic : help_topics()) {
    const std::string page(help_page(topic));
    EXPECT_EQ(words(fitted_page(page, 60)), words(page)) << topic;
  }
}

}  // namespace
}  // namespace trainyard
