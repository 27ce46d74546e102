#include <cmath>
#include <cstdlib>

#include <gmock/gmock.h>

#include "datasets/dataset.h"
#include "support/counted.h"
#include "support/error_of.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;

DataConfig small() {
  DataConfig config;
  config.name = "synthetic";
  config.shape = {16, 12, 3};
  config.samples = 200;
  config.classes = 10;
  return config;
}

struct Sample {
  std::int64_t label;
  std::vector<std::byte> image;
  bool operator==(const Sample&) const = default;
};

Sample sample(const Dataset& dataset, std::size_t index) {
  Sample result{0, std::vector<std::byte>(dataset.spec().bytes())};
  result.label = dataset.get(index, result.image);
  return result;
}

double distance(const Sample& a, const Sample& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.image.size(); ++i) {
    sum += std::abs(std::to_integer<int>(a.image[i]) - std::to_integer<int>(b.image[i]));
  }
  return sum;
}

TEST(Synthetic, HasTheShapeAndSizesAskedFor) {
  const auto train = make_dataset(small(), Split::train);
  EXPECT_EQ(train->size(), 200u);
  EXPECT_EQ(make_dataset(small(), Split::test)->size(), 40u);
  EXPECT_EQ(train->spec(), (SampleSpec{{16, 12, 3}, DType::uint8}));
  EXPECT_EQ(train->class_names().size(), 10u);
  EXPECT_EQ(train->class_counts(), counted(*train));
  EXPECT_EQ(train->channel_mean().size(), 3u);
  EXPECT_EQ(train->channel_std().size(), 3u);
}

TEST(Synthetic, HasAtLeastOneTestSample) {
  DataConfig config = small();
  config.samples = 3;
  EXPECT_EQ(make_dataset(config, Split::test)->size(), 1u);
}

TEST(Synthetic, IsAFunctionOfSplitAndIndex) {
  const auto train = make_dataset(small(), Split::train);
  EXPECT_EQ(sample(*train, 17), sample(*make_dataset(small(), Split::train), 17));
  EXPECT_NE(sample(*train, 17), sample(*make_dataset(small(), Split::test), 17));
  EXPECT_NE(sample(*train, 17), sample(*train, 27));
}

TEST(Synthetic, CanBeLearntByNearestNeighbour) {
  const auto train = make_dataset(small(), Split::train);
  const auto test = make_dataset(small(), Split::test);
  for (std::size_t i = 0; i < test->size(); ++i) {
    const Sample unknown = sample(*test, i);
    Sample nearest = sample(*train, 0);
    for (std::size_t j = 1; j < 10; ++j) {
      Sample other = sample(*train, j);
      if (distance(other, unknown) < distance(nearest, unknown)) nearest = std::move(other);
    }
    EXPECT_EQ(nearest.label, unknown.label);
  }
}

TEST(Synthetic, HasTheStatisticsItClaims) {
  DataConfig config = small();
  config.classes = 100;
  const auto dataset = make_dataset(config, Split::train);
  double sum = 0;
  double squares = 0;
  for (std::size_t i = 0; i < dataset->size(); ++i) {
    for (const std::byte pixel : sample(*dataset, i).image) {
      const double value = std::to_integer<int>(pixel) / 255.0;
      sum += value;
      squares += value * value;
    }
  }
  const double count = static_cast<double>(dataset->size() * dataset->spec().elements());
  EXPECT_NEAR(sum / count, dataset->channel_mean()[0], 0.02);
  EXPECT_NEAR(std::sqrt(squares / count - sum / count * sum / count), dataset->channel_std()[0], 0.02);
}

TEST(Synthetic, WorksForShapesSmallerThanItsPattern) {
  DataConfig config = small();
  config.shape = {1, 2, 5};
  const auto dataset = make_dataset(config, Split::train);
  EXPECT_EQ(sample(*dataset, 199).image.size(), 10u);
}

TEST(Synthetic, FingerprintFollowsEverySetting) {
  const std::uint64_t before = make_dataset(small(), Split::train)->fingerprint();
  EXPECT_EQ(make_dataset(small(), Split::train)->fingerprint(), before);
  std::vector<std::uint64_t> others{make_dataset(small(), Split::test)->fingerprint()};
  DataConfig config = small();
  config.shape = {12, 16, 3};
  others.push_back(make_dataset(config, Split::train)->fingerprint());
  config = small();
  config.samples = 201;
  others.push_back(make_dataset(config, Split::train)->fingerprint());
  config = small();
  config.classes = 9;
  others.push_back(make_dataset(config, Split::train)->fingerprint());
  EXPECT_THAT(others, testing::Not(Contains(before)));
}

TEST(Synthetic, NamesTheSettingThatIsOutOfRange) {
  const auto error = [](auto change) {
    DataConfig config = small();
    change(config);
    return error_of<UsageError>([&] { make_dataset(config, Split::train); });
  };
  EXPECT_THAT(error([](DataConfig& c) { c.shape = {28, 28}; }),
              AllOf(HasSubstr("[data.shape]"), HasSubstr("2 extents")));
  EXPECT_THAT(error([](DataConfig& c) { c.shape = {28, 0, 1}; }),
              AllOf(HasSubstr("[data.shape]"), HasSubstr("extent 0")));
  EXPECT_THAT(error([](DataConfig& c) { c.shape = {1L << 40, 1L << 40, 1L << 40}; }), HasSubstr("[data.shape]"));
  EXPECT_THAT(error([](DataConfig& c) { c.samples = 0; }), AllOf(HasSubstr("[data.samples]"), HasSubstr("at least 1")));
  EXPECT_THAT(error([](DataConfig& c) { c.classes = -1; }), AllOf(HasSubstr("[data.classes]"), HasSubstr("-1")));
}

}  // namespace
}  // namespace trainyard
