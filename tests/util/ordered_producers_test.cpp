#include "util/ordered_producers.h"

#include <csignal>

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/error_of.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// Items of 0 to 3 MB whose bytes are their index.
std::vector<std::byte> thing(std::size_t index) {
  return std::vector<std::byte>(index * index * 30'000, static_cast<std::byte>(index));
}

OrderedProducers::Make makes_things() {
  return [kept = std::vector<std::byte>()](std::size_t index) mutable -> std::span<const std::byte> {
    kept = thing(index);
    return kept;
  };
}

bool has_children() {
  siginfo_t info;
  return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

TEST(OrderedProducers, HandOverAllThingsInOrder) {
  for (const int processes : {0, 1, 2, 3, 7, 20}) {
    OrderedProducers makers(10, processes, makes_things(), "test");
    for (std::size_t i = 0; i < 10; ++i) {
      const std::span<const std::byte> next = makers.next();
      ASSERT_EQ(std::vector<std::byte>(next.begin(), next.end()), thing(i)) << processes;
    }
  }
  EXPECT_FALSE(has_children());
}

TEST(OrderedProducers, ThrowWhatAMakerThrewInItsPlace) {
  const auto make = [](std::size_t index) -> std::span<const std::byte> {
    if (index == 3) throw UsageError("thing", "number {} is odd", index);
    if (index == 4) throw std::logic_error("number 4");
    return {};
  };
  for (const int processes : {0, 1, 2, 5}) {
    OrderedProducers makers(6, processes, make, "test");
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(makers.next().empty());
    EXPECT_EQ(error_of<UsageError>([&] { makers.next(); }), "[thing] number 3 is odd");
    if (processes > 0) {
      EXPECT_EQ(error_of<RunError>([&] { makers.next(); }), "[test] number 4");
      EXPECT_TRUE(makers.next().empty());
    }
  }
  EXPECT_FALSE(has_children());
}

TEST(OrderedProducers, NameTheDeathOfAMaker) {
  const auto make = [](std::size_t index) -> std::span<const std::byte> {
    if (index == 2) raise(SIGKILL);
    if (index == 3) _exit(5);
    return {};
  };
  OrderedProducers makers(4, 4, make, "test");
  makers.next();
  makers.next();
  EXPECT_THAT(error_of<RunError>([&] { makers.next(); }),
              AllOf(HasSubstr("[test] worker"), HasSubstr("was killed by signal 9 (Killed) at sample"),
                    HasSubstr("at sample 2")));
  EXPECT_THAT(error_of<RunError>([&] { makers.next(); }), HasSubstr("exited with code 5 at sample 3"));
}

TEST(OrderedProducers, ReplaceAMakerThatDied) {
  const auto make = [](std::size_t index) -> std::span<const std::byte> {
    if (index % 3 == 1) raise(SIGKILL);
    static std::byte last;
    last = static_cast<std::byte>(index);
    return {&last, 1};
  };
  for (const int processes : {1, 2, 4}) {
    OrderedProducers makers(20, processes, make, "test");
    for (std::size_t i = 0; i < 20; ++i) {
      if (i % 3 == 1) {
        EXPECT_THAT(error_of<RunError>([&] { makers.next(); }), HasSubstr(fmt::format("at sample {}", i)));
      } else {
        EXPECT_EQ(makers.next().front(), static_cast<std::byte>(i)) << processes;
      }
    }
  }
  EXPECT_FALSE(has_children());
}

TEST(OrderedProducers, EndIfDestroyedBeforeTheirItemsAreConsumed) {
  {
    OrderedProducers makers(1'000'000, 3, makes_things(), "test");
    makers.next();
    EXPECT_TRUE(has_children());
  }
  EXPECT_FALSE(has_children());
}

}  // namespace
}  // namespace trainyard
