#include "datasets/validation_split.h"

#include <algorithm>
#include <map>

#include <gmock/gmock.h>

#include "support/error_of.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

/// Samples with given classes, which are known before reading or not.
class Classes final : public Dataset {
 public:
  explicit Classes(std::vector<std::uint64_t> labels, bool in_memory = true)
      : labels_(std::move(labels)), in_memory_(in_memory) {}
  std::size_t size() const override { return labels_.size(); }
  const std::vector<Field>& fields() const override { return fields_; }
  void read(std::size_t /*index*/, RandomStream /*random*/, Sample& /*sample*/) const override {
    throw RunError("test", "a sample was read");
  }
  const std::vector<std::string>& class_names() const override { return names_; }
  std::uint64_t fingerprint() const override { return 1; }
  std::optional<std::uint64_t> stratum(std::size_t index) const override {
    return in_memory_ ? std::optional(labels_[index]) : std::nullopt;
  }

 private:
  std::vector<std::uint64_t> labels_;
  bool in_memory_;
  std::vector<Field> fields_{{.name = "image", .shape = {1, 1, 1}}, label_field(4)};
  std::vector<std::string> names_{"a", "b", "c", "d"};
};

std::vector<std::uint64_t> labels_of(const std::vector<std::size_t>& counts) {
  std::vector<std::uint64_t> labels;
  for (std::size_t label = 0; label < counts.size(); ++label) labels.insert(labels.end(), counts[label], label);
  return labels;
}

// Returns the number of samples of each class in `part`.
std::vector<std::size_t> counts_in(const std::vector<std::uint64_t>& labels, const std::vector<std::uint64_t>& part) {
  std::vector<std::size_t> counts(*std::max_element(labels.begin(), labels.end()) + 1);
  for (const std::uint64_t index : part) ++counts[labels[index]];
  return counts;
}

TEST(ValidationSplit, TrainAndValAreDisjointAndTogetherTheWhole) {
  const std::vector<std::uint64_t> labels = labels_of({100, 60, 41});
  for (const double val : {0.1, 0.5, 1.0, 17.0, 198.0}) {
    for (const bool in_memory : {true, false}) {
      const TrainAndVal parts = take_validation(Classes(labels, in_memory), val, 7);
      EXPECT_TRUE(std::is_sorted(parts.train.begin(), parts.train.end()));
      EXPECT_TRUE(std::is_sorted(parts.val.begin(), parts.val.end()));
      std::vector<std::uint64_t> all = parts.train;
      all.insert(all.end(), parts.val.begin(), parts.val.end());
      std::sort(all.begin(), all.end());
      ASSERT_EQ(all.size(), 201u);
      for (std::uint64_t i = 0; i < 201; ++i) ASSERT_EQ(all[i], i);
    }
  }
}

TEST(ValidationSplit, TakesAShareOrANumber) {
  const Classes dataset(labels_of({100, 100}));
  EXPECT_EQ(take_validation(dataset, 0.1, 0).val.size(), 20u);
  EXPECT_EQ(take_validation(dataset, 0.0001, 0).val.size(), 1u);
  EXPECT_EQ(take_validation(dataset, 1, 0).val.size(), 1u);
  EXPECT_EQ(take_validation(dataset, 37, 0).val.size(), 37u);
}

TEST(ValidationSplit, TakesOfEachClassItsShareByLargestRemainder) {
  const std::vector<std::uint64_t> labels = labels_of({100, 26, 17, 1});
  const TrainAndVal parts = take_validation(Classes(labels), 14, 0);  // quotas 9.72, 2.53, 1.65, 0.10
  EXPECT_THAT(counts_in(labels, parts.val), ElementsAre(10, 2, 2, 0));
}

TEST(ValidationSplit, LeavesEveryClassASample) {
  const std::vector<std::uint64_t> labels = labels_of({50, 2, 1, 3});
  const TrainAndVal parts = take_validation(Classes(labels), 52, 0);
  EXPECT_THAT(counts_in(labels, parts.train), ElementsAre(1, 1, 1, 1));
  EXPECT_THAT(error_of<UsageError>([&] { take_validation(Classes(labels), 53, 0); }),
              AllOf(HasSubstr("[data.val]"), HasSubstr("takes 53 of 56"),
                    HasSubstr("at most 52 can be taken, as each of 4 classes keeps one to learn from")));
  EXPECT_THAT(error_of<UsageError>([&] { take_validation(Classes({0}), 0.1, 0); }),
              HasSubstr("at most 0 can be taken, as one is kept to learn from"))
      << "samples without classes, too";
}

TEST(ValidationSplit, DependsOnDataAndSeedAlone) {
  const Classes dataset(labels_of({300, 300}));
  EXPECT_EQ(take_validation(dataset, 0.1, 3).val, take_validation(dataset, 0.1, 3).val);
  EXPECT_NE(take_validation(dataset, 0.1, 3).val, take_validation(dataset, 0.1, 4).val);
}

TEST(ValidationSplit, DataWithoutSamplesIsRefused) {
  EXPECT_EQ(error_of<UsageError>([] { take_validation(Classes(labels_of({})), 0.1, 0); }),
            "[data.name] the training data have no samples");
}

TEST(ValidationSplit, SpreadsOverTheDataset) {
  const TrainAndVal parts = take_validation(Classes(labels_of({1000}), /*in_memory=*/false), 100, 0);
  const auto middle = std::lower_bound(parts.val.begin(), parts.val.end(), 500);
  EXPECT_GT(middle - parts.val.begin(), 30);
  EXPECT_LT(middle - parts.val.begin(), 70);
}

}  // namespace
}  // namespace trainyard
