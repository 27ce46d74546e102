#include "loader/samples_by_class.h"

#include <gmock/gmock.h>

#include "support/checkable_pool.h"
#include "support/error_of.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(SamplesByClass, ListsTheSamplesOfThoseClassesThatHaveSome) {
  const SamplesByClass by_class(UnevenDataset(20, nullptr));
  EXPECT_EQ(by_class.classes(), 2u);
  EXPECT_THAT(by_class.labels(), ElementsAre(1, 4));
  EXPECT_EQ(by_class.samples_of(0).size(), 18u);
  EXPECT_THAT(by_class.samples_of(1), ElementsAre(18, 19));
  EXPECT_TRUE(SamplesByClass().empty());
}

TEST(SamplesByClass, RefusesADatasetThatKnowsNoClasses) {
  EXPECT_THAT(error_of<UsageError>([] { SamplesByClass(CheckableDataset(20, nullptr)); }),
              AllOf(HasSubstr("[loader.sampling]"), HasSubstr("label"), HasSubstr("uniform")));
}

}  // namespace
}  // namespace trainyard
