#include "datasets/column.h"

#include <cmath>

#include <gmock/gmock.h>

#include "datasets/field.h"

namespace trainyard {
namespace {

using testing::HasSubstr;

Field numbers() {
  return {.name = "numeric",
          .dtype = DType::float32,
          .shape = {2},
          .columns = {{.name = "a", .mean = 3, .std = 2}, {.name = "b"}}};
}

Field categories() {
  return {.name = "categorical",
          .dtype = DType::int64,
          .shape = {2},
          .values = ValueRange{5},
          .columns = {{.name = "c", .categories = {"x", "y"}}, {.name = "d", .categories = {"0"}}}};
}

TEST(Columns, AcceptsNoneAndOnePerElement) {
  EXPECT_EQ(columns_error({.name = "target", .dtype = DType::float32, .shape = {3}}), "");
  EXPECT_EQ(columns_error({.name = "target", .dtype = DType::float32, .columns = {{.name = "price"}}}), "");
  EXPECT_EQ(columns_error(numbers()), "");
  EXPECT_EQ(columns_error(categories()), "");
}

TEST(Columns, RefusesWhatContradictsTheField) {
  const auto flaw = [](Field field, auto change) {
    change(field);
    return std::string(columns_error(field));
  };
  EXPECT_THAT(flaw(numbers(), [](Field& f) { f.shape = {3}; }), HasSubstr("another number of columns"));
  EXPECT_THAT(flaw(numbers(), [](Field& f) { f.varies = true; }), HasSubstr("another number of columns"));
  EXPECT_THAT(flaw(numbers(), [](Field& f) { f.columns[1].name = ""; }), HasSubstr("without a name"));
  EXPECT_THAT(flaw(numbers(), [](Field& f) { f.columns[1].mean = NAN; }), HasSubstr("is impossible"));
  EXPECT_THAT(flaw(numbers(), [](Field& f) { f.columns[1].std = 0; }), HasSubstr("is impossible"));
  EXPECT_THAT(flaw(numbers(), [](Field& f) { f.columns[1].std = INFINITY; }), HasSubstr("is impossible"));
  EXPECT_THAT(flaw(numbers(), [](Field& f) { f.columns[1].categories = {"x"}; }), HasSubstr("categories for numbers"));
  EXPECT_THAT(flaw(categories(), [](Field& f) { f.values->count = 4; }), HasSubstr("another number of values"));
  EXPECT_THAT(flaw(categories(), [](Field& f) { f.values.reset(); }), HasSubstr("another number of values"));
}

}  // namespace
}  // namespace trainyard
