#include "datasets/sample.h"

#include <array>

#include <gmock/gmock.h>

#include "support/error_of.h"

namespace trainyard {
namespace {

// Four bytes, a number and an image.
void begin_three_fields(Sample& sample) {
  sample.begin(3);
  sample.expect(0, 4);
  sample.expect(1, sizeof(std::int64_t));
  sample.expect_image(2);
}

TEST(Sample, IsFilledOnceEachFieldIsFilledAsExpected) {
  Sample sample;
  begin_three_fields(sample);
  EXPECT_EQ(sample.elements(0).size(), 4U);
  sample.set(1, std::int64_t{7});
  EXPECT_TRUE(sample.is_filled(0));
  EXPECT_TRUE(sample.is_filled(1));
  EXPECT_FALSE(sample.is_filled(2));
  EXPECT_FALSE(sample.is_filled());
  sample.store(2, {sample.scratch(2).take(9)});
  EXPECT_TRUE(sample.is_filled());
  EXPECT_EQ(sample.stored(2).bytes.size(), 9U);
}

TEST(Sample, IsNotFilledByTheWrongKind) {
  Sample sample;
  begin_three_fields(sample);
  sample.store(0, {});
  sample.set(1, std::int32_t{7});
  EXPECT_TRUE(sample.elements(2).empty());
  for (const std::size_t field : {0, 1, 2}) EXPECT_FALSE(sample.is_filled(field));
}

TEST(Sample, WritesToThePlacesOfTheReader) {
  std::array<std::byte, 2> first{};
  std::int32_t second = 0;
  const std::array<std::span<std::byte>, 2> places = {first, std::as_writable_bytes(std::span(&second, 1))};
  Sample sample;
  sample.expect(places);
  EXPECT_FALSE(sample.is_filled());
  sample.elements(0)[1] = std::byte{5};
  sample.set(1, 6);
  EXPECT_TRUE(sample.is_filled());
  EXPECT_EQ(first[1], std::byte{5});
  EXPECT_EQ(second, 6);
}

TEST(Sample, RefusesAFieldThatTheDatasetHasNot) {
  Sample sample;
  sample.begin(2);
  for (const std::size_t field : {0, 1}) sample.expect(field, 8);
  for (const std::size_t field : {std::size_t{2}, static_cast<std::size_t>(-1)}) {
    EXPECT_THAT(error_of<RunError>([&] { sample.set(field, std::int64_t{1}); }),
                testing::HasSubstr("the fields() of the dataset are 0 to 1"));
  }
  EXPECT_THAT(error_of<RunError>([&] { sample.elements(2); }), testing::HasSubstr("read() writes to field 2"));
}

TEST(Sample, ForgetsThePreviousSample) {
  std::array<std::byte, 1> byte{};
  const std::array<std::span<std::byte>, 1> places = {byte};
  Sample sample;
  sample.begin(2);
  sample.expect(0, 4);
  sample.expect_image(1);
  sample.elements(0);
  sample.expect(places);
  EXPECT_FALSE(sample.is_filled(0));
  EXPECT_EQ(sample.elements(0).data(), byte.data());
  EXPECT_TRUE(sample.is_filled());
}

}  // namespace
}  // namespace trainyard
