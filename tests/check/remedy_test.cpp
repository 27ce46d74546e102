#include "check/remedy.h"

#include <gtest/gtest.h>

namespace trainyard {
namespace {

TEST(AlreadyApplied, IsFalseIfTheFactsCannotTell) {
  for (const Change& change :
       {Change{"loader.batch_size", "1"}, Change{"libtorch.cuda", "12.6"}, Change{"driver", "525"},
        Change{"driver.most", "580"}, Change{"shared_memory", "1"}, Change{"env.CUDA_LAUNCH_BLOCKING", "1"}}) {
    EXPECT_FALSE(already_applied(change, Facts(), Needs())) << change.key;
  }
}

TEST(Remedy, LeavesOutWhatIsAppliedAlready) {
  const Facts facts;
  Needs needs;
  needs.batch_size = 1;
  Remedy remedy(facts, needs);
  remedy.add("use a smaller batch", {{"loader.batch_size", "1"}});
  EXPECT_TRUE(remedy.empty());
  remedy.add("use a smaller model").add("use the CPU", {{"train.device", "cpu"}});
  EXPECT_EQ(remedy.words(), "use a smaller model; or use the CPU");
  ASSERT_EQ(remedy.changes().size(), 1u);
  EXPECT_EQ(remedy.changes()[0].value, "cpu");
}

}  // namespace
}  // namespace trainyard
