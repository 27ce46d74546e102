#include "util/json_text.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace trainyard {
namespace {

TEST(JsonText, ReadsBackWhatItWrote) {
  const nlohmann::json json = {{"b", {1, 2.5, nullptr}}, {"a", "\u00e9\n"}};
  EXPECT_EQ(json_from(json_text(json)), json);
  EXPECT_EQ(json_from(json_text(json, 2)), json);
}

TEST(JsonText, NestingIsLimitedAndBracketsInStringsDoNotCount) {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_FALSE(json_from(nested(max_json_depth)).is_discarded());
  EXPECT_TRUE(json_from(nested(max_json_depth + 1)).is_discarded());
  EXPECT_TRUE(json_from(nested(10'000'000)).is_discarded());
  EXPECT_FALSE(json_from("[\"\\\"" + std::string(10'000, '[') + "\"]").is_discarded());
}

TEST(JsonText, OrderedKeysKeepTheirOrder) {
  EXPECT_EQ(json_text(nlohmann::ordered_json{{"b", 1}, {"a", 2}}), R"({"b":1,"a":2})");
}

TEST(JsonText, WhatIsNotUtf8IsReplacedOrRefused) {
  const nlohmann::json json = "a\xff";
  EXPECT_EQ(json_text(json), "\"a\xef\xbf\xbd\"");
  EXPECT_THROW(json_text(json, -1, NotUtf8::refused), nlohmann::json::exception);
}

TEST(JsonText, WhatIsNoJsonGivesADiscardedValue) {
  for (const char* text : {"", "{", "{} {}", "nan"}) EXPECT_TRUE(json_from(text).is_discarded()) << text;
}

TEST(JsonText, EscapesEveryControlCharacter) {
  const nlohmann::json json =
      "\x1b[2J\x7f \xc2\x9b"
      "2J caf\xc3\xa9\xc2\xa0";
  EXPECT_EQ(json_text(json), "\"\\u001b[2J\\u007f \\u009b2J caf\xc3\xa9\xc2\xa0\"");
  EXPECT_EQ(json_from(json_text(json)), json);
}

}  // namespace
}  // namespace trainyard
