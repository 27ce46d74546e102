#include "util/stop_token.h"

#include <gtest/gtest.h>

namespace trainyard {
namespace {

TEST(StopToken, DefaultNeverRequestsAnything) {
  const StopToken token;
  EXPECT_FALSE(token.stop_requested());
  EXPECT_EQ(token.signal(), 0);
  EXPECT_FALSE(token.take_save_request());
}

TEST(StopToken, CopiesSeeTheSameRequests) {
  StopRequests requests;
  const StopToken token(requests);
  const StopToken copy = token;
  requests.signal = 15;
  requests.save = true;
  EXPECT_EQ(copy.signal(), 15);
  EXPECT_TRUE(copy.take_save_request());
  EXPECT_FALSE(token.take_save_request());
}

}  // namespace
}  // namespace trainyard
