#include "datasets/field.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

namespace trainyard {
namespace {

using testing::HasSubstr;

template <typename T>
std::string error(const Field& field, const std::vector<T>& values) {
  return values_error(field, std::as_bytes(std::span(values)));
}

template <typename T>
void expect_allowed(const Field& field, const std::vector<T>& values) {
  EXPECT_EQ(error(field, values), "");
}

TEST(ValuesError, AllowsWhatTheRangeHasAndTheIgnoredValue) {
  const Field mask{.name = "mask", .shape = {10, 30}, .values = ValueRange{11, 255}};
  std::vector<std::uint8_t> pixels(300);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i % 12 == 11 ? 255 : i % 12);
  expect_allowed(mask, pixels);
  expect_allowed<std::int64_t>(label_field(5), {4});
  expect_allowed<std::int32_t>({.name = "tokens", .dtype = DType::int32, .shape = {3}, .values = ValueRange{7, -1}},
                               {0, 6, -1});
}

TEST(ValuesError, NamesTheFirstWrongValueAndItsPlace) {
  const Field mask{.name = "mask", .shape = {10, 30}, .values = ValueRange{11, 255}};
  for (const std::size_t wrong : {0, 63, 64, 191, 256, 299}) {  // inside, at the edges of and behind full blocks
    std::vector<std::uint8_t> pixels(300, 10);
    pixels[wrong] = 11;
    EXPECT_EQ(error(mask, pixels), fmt::format("mask has the value 11 at row {}, column {}; allowed: 0 to 10, "
                                               "and 255 (ignored)",
                                               wrong / 30, wrong % 30));
  }
  EXPECT_EQ(error<std::int64_t>(label_field(5), {-1}), "label has the value -1; allowed: 0 to 4");
  const Field tokens{.name = "tokens", .dtype = DType::int32, .shape = {3}, .values = ValueRange{7}};
  EXPECT_THAT(error<std::int32_t>(tokens, {1, 7, 2}), HasSubstr("tokens has the value 7 at place 1; allowed: 0 to 6"));
  EXPECT_THAT(error<std::int32_t>(tokens, {1, 2, -3}), HasSubstr("the value -3 at place 2"));
}

TEST(ValuesError, TakesRangesBeyondTheTypeAndEmptyOnes) {
  expect_allowed<std::uint8_t>({.name = "mask", .shape = {1, 2}, .values = ValueRange{256}}, {0, 255});
  expect_allowed<std::int32_t>(
      {.name = "tokens", .dtype = DType::int32, .shape = {1}, .values = ValueRange{std::int64_t{1} << 40}}, {5});
  EXPECT_THAT(error<std::uint8_t>({.name = "mask", .shape = {1, 2}, .values = ValueRange{0}}, {0, 0}),
              HasSubstr("the value 0 at row 0, column 0"));
  EXPECT_THAT(error<std::uint8_t>({.name = "mask", .shape = {1, 2}, .values = ValueRange{3, 1000}}, {0, 232}),
              HasSubstr("the value 232"));
  expect_allowed<std::uint8_t>({.name = "mask", .shape = {1, 2}}, {0, 255});
  expect_allowed<std::int64_t>(label_field(5), {});
}

}  // namespace
}  // namespace trainyard
