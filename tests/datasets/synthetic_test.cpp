#include <cmath>
#include <cstdlib>

#include <gmock/gmock.h>

#include "config/validate.h"
#include "datasets/dataset.h"
#include "support/configured.h"
#include "support/counted.h"
#include "support/error_of.h"
#include "support/read_field.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;

// 200 samples of 16 × 12 × 3 in 10 classes, unless `flags` specify otherwise.
DataConfig small(const std::string& flags = "") {
  const Config config = configured(
      "--data.name synthetic --data.synthetic.shape 16,12,3 --data.synthetic.samples 200 --data.synthetic.classes 10");
  return configured(flags, config).data;
}

struct Drawn {
  std::int64_t label;
  std::vector<std::byte> image;
  bool operator==(const Drawn&) const = default;
};

Drawn sample(const Dataset& dataset, std::size_t index) {
  Drawn result{0, std::vector<std::byte>(dataset.fields()[0].bytes())};
  result.label = read_field(dataset, index, result.image);
  return result;
}

double distance(const Drawn& a, const Drawn& b) {
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
  EXPECT_EQ(train->fields()[0].shape, (Shape{16, 12, 3}));
  EXPECT_EQ(train->class_names().size(), 10u);
  EXPECT_EQ(train->class_counts(), counted(*train));
  EXPECT_EQ(train->channel_mean().size(), 3u);
  EXPECT_EQ(train->channel_std().size(), 3u);
}

TEST(Synthetic, HasAtLeastOneTestSample) {
  EXPECT_EQ(make_dataset(small("--data.synthetic.samples 3"), Split::test)->size(), 1u);
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
    const Drawn unknown = sample(*test, i);
    Drawn nearest = sample(*train, 0);
    for (std::size_t j = 1; j < 10; ++j) {
      Drawn other = sample(*train, j);
      if (distance(other, unknown) < distance(nearest, unknown)) nearest = std::move(other);
    }
    EXPECT_EQ(nearest.label, unknown.label);
  }
}

TEST(Synthetic, HasTheStatisticsItClaims) {
  const auto dataset = make_dataset(small("--data.synthetic.classes 100"), Split::train);
  double sum = 0;
  double squares = 0;
  for (std::size_t i = 0; i < dataset->size(); ++i) {
    for (const std::byte pixel : sample(*dataset, i).image) {
      const double value = std::to_integer<int>(pixel) / 255.0;
      sum += value;
      squares += value * value;
    }
  }
  const double count = static_cast<double>(dataset->size() * dataset->fields()[0].elements());
  EXPECT_NEAR(sum / count, dataset->channel_mean()[0], 0.02);
  EXPECT_NEAR(std::sqrt(squares / count - sum / count * sum / count), dataset->channel_std()[0], 0.02);
}

TEST(Synthetic, WorksForShapesSmallerThanItsPattern) {
  const auto dataset = make_dataset(small("--data.synthetic.shape 1,2,5"), Split::train);
  EXPECT_EQ(sample(*dataset, 199).image.size(), 10u);
}

TEST(Synthetic, FingerprintFollowsEverySetting) {
  const std::uint64_t before = make_dataset(small(), Split::train)->fingerprint();
  EXPECT_EQ(make_dataset(small(), Split::train)->fingerprint(), before);
  std::vector<std::uint64_t> others{make_dataset(small(), Split::test)->fingerprint()};
  for (const char* flags :
       {"--data.synthetic.shape 12,16,3", "--data.synthetic.samples 201", "--data.synthetic.classes 9"}) {
    others.push_back(make_dataset(small(flags), Split::train)->fingerprint());
  }
  EXPECT_THAT(others, testing::Not(Contains(before)));
}

TEST(Synthetic, NamesTheSettingThatIsOutOfRange) {
  const auto error = [](const std::string& flags) {
    return error_of<UsageError>([&] { validate(configured("--data.name synthetic " + flags)); });
  };
  EXPECT_THAT(error("--data.synthetic.shape 28,28"), HasSubstr("--data.synthetic.shape is [28, 28]"));
  EXPECT_THAT(error("--data.synthetic.shape 28,0,1"), HasSubstr("item 2, which is 0"));
  EXPECT_THAT(error("--data.synthetic.shape 65536,65536,3"),
              AllOf(HasSubstr("[data.synthetic.shape]"), HasSubstr("12884901888 bytes")));
  EXPECT_THAT(error("--data.synthetic.samples 0"), HasSubstr("--data.synthetic.samples is 0"));
  EXPECT_THAT(error("--data.synthetic.classes -1"), HasSubstr("--data.synthetic.classes is -1"));
}

}  // namespace
}  // namespace trainyard
