#include "models/memory_bound.h"

#include <thread>

#include <gmock/gmock.h>

#include "support/error_of.h"
#include "util/error.h"
#include "util/torch.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(MemoryBound, CountsWhatTheThreadMakesWhileItLives) {
  at::Tensor kept;
  {
    const MemoryBound bound(100'000, "a file");
    kept = at::zeros({10'000});
    at::zeros({10'000});
    EXPECT_THAT(error_of<RunError>([] { at::zeros({10'000}); }),
                AllOf(HasSubstr("a file asks for a model that takes more than 100000 bytes"),
                      HasSubstr("a tensor of 40000 bytes")));
    std::thread([] { EXPECT_EQ(at::ones({100'000}).numel(), 100'000); }).join();
  }
  EXPECT_EQ(at::zeros({100'000}).numel() + kept.numel(), 110'000);
}

}  // namespace
}  // namespace trainyard
