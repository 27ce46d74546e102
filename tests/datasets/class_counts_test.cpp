#include "datasets/class_counts.h"

#include <gtest/gtest.h>

namespace trainyard {
namespace {

TEST(ClassCounts, NamesClassesWithoutSamples) {
  const std::vector<std::uint64_t> counts{3, 0, 1, 0};
  EXPECT_EQ(classes_without_samples(counts, {"cat", "dog", "fish", "a\nb"}),
            "2 of 4 classes have no samples: dog, a\\nb");
  EXPECT_EQ(classes_without_samples(std::vector<std::uint64_t>(1), {"cat"}, "pixels"),
            "1 of 1 class has no pixels: cat");
  EXPECT_EQ(classes_without_samples({}, {"cat"}), "");
  EXPECT_EQ(classes_without_samples(std::vector<std::uint64_t>{1}, {"cat"}), "");
}

TEST(ClassCounts, NamesTheFirstOfMany) {
  std::vector<std::string> names;
  for (int i = 0; i < 30; ++i) names.push_back(std::to_string(i));
  EXPECT_EQ(classes_without_samples(std::vector<std::uint64_t>(30), names),
            "30 of 30 classes have no samples: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ...");
}

}  // namespace
}  // namespace trainyard
