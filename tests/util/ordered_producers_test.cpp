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
std::vector<std::byte> item(std::size_t index) {
  return std::vector<std::byte>(index * index * 30'000, static_cast<std::byte>(index));
}

OrderedProducers::Make makes_items() {
  return [kept = std::vector<std::byte>()](std::size_t index) mutable -> std::span<const std::byte> {
    kept = item(index);
    return kept;
  };
}

bool has_children() {
  siginfo_t info;
  return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

TEST(OrderedProducers, HandOverAllItemsInOrder) {
  for (const int processes : {0, 1, 2, 3, 7, 20}) {
    OrderedProducers producers(10, processes, makes_items(), "test");
    for (std::size_t i = 0; i < 10; ++i) {
      const std::span<const std::byte> next = producers.next();
      ASSERT_EQ(std::vector<std::byte>(next.begin(), next.end()), item(i)) << processes;
    }
  }
  EXPECT_FALSE(has_children());
}

TEST(OrderedProducers, ThrowWhatMakingAnItemThrewInItsPlace) {
  const auto make = [](std::size_t index) -> std::span<const std::byte> {
    if (index == 3) throw UsageError("item", "number {} is odd", index);
    if (index == 4) throw std::logic_error("number 4");
    return {};
  };
  for (const int processes : {0, 1, 2, 5}) {
    OrderedProducers producers(6, processes, make, "test");
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(producers.next().empty());
    EXPECT_EQ(error_of<UsageError>([&] { producers.next(); }), "[item] number 3 is odd");
    if (processes > 0) {
      EXPECT_EQ(error_of<RunError>([&] { producers.next(); }), "[test] number 4");
      EXPECT_TRUE(producers.next().empty());
    }
  }
  EXPECT_FALSE(has_children());
}

TEST(OrderedProducers, NameTheDeathOfAProducer) {
  const auto make = [](std::size_t index) -> std::span<const std::byte> {
    if (index == 2) raise(SIGKILL);
    if (index == 3) _exit(5);
    return {};
  };
  OrderedProducers producers(4, 4, make, "test");
  producers.next();
  producers.next();
  EXPECT_THAT(error_of<RunError>([&] { producers.next(); }),
              AllOf(HasSubstr("[test] worker"), HasSubstr("was killed by signal 9 (Killed) at sample"),
                    HasSubstr("at sample 2")));
  EXPECT_THAT(error_of<RunError>([&] { producers.next(); }), HasSubstr("exited with code 5 at sample 3"));
}

TEST(OrderedProducers, ReplaceAProducerThatDied) {
  const auto make = [](std::size_t index) -> std::span<const std::byte> {
    if (index % 3 == 1) raise(SIGKILL);
    static std::byte last;
    last = static_cast<std::byte>(index);
    return {&last, 1};
  };
  for (const int processes : {1, 2, 4}) {
    OrderedProducers producers(20, processes, make, "test");
    for (std::size_t i = 0; i < 20; ++i) {
      if (i % 3 == 1) {
        EXPECT_THAT(error_of<RunError>([&] { producers.next(); }), HasSubstr(fmt::format("at sample {}", i)));
      } else {
        EXPECT_EQ(producers.next().front(), static_cast<std::byte>(i)) << processes;
      }
    }
  }
  EXPECT_FALSE(has_children());
}

TEST(OrderedProducers, EndIfDestroyedBeforeTheirItemsAreConsumed) {
  {
    OrderedProducers producers(1'000'000, 3, makes_items(), "test");
    producers.next();
    EXPECT_TRUE(has_children());
  }
  EXPECT_FALSE(has_children());
}

}  // namespace
}  // namespace trainyard
