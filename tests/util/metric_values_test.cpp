#include "util/metric_values.h"

#include <cmath>

#include <gtest/gtest.h>

namespace trainyard {
namespace {

TEST(MetricText, HasFourDecimalsOrFourDigits) {
  EXPECT_EQ(metric_text(0.88914), "0.8891");
  EXPECT_EQ(metric_text(12345678.25), "12345678.2500");
  EXPECT_EQ(metric_text(0), "0.0000");
  EXPECT_EQ(metric_text(-0.00012345), "-0.0001234");
  EXPECT_EQ(metric_text(1.5e-9), "1.5e-09");
  EXPECT_EQ(metric_text(0.88914, 3), "0.889");
}

TEST(MetricText, TellsNoValueFromOneThatIsNotFinite) {
  EXPECT_EQ(metric_text(std::nullopt), "none");
  EXPECT_EQ(metric_text(NAN), "nan");
}

}  // namespace
}  // namespace trainyard
