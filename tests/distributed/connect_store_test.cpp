#include "distributed/connect_store.h"

#include <string>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/error_of.h"
#include "support/ranks.h"
#include "util/error.h"

namespace trainyard {
namespace {

using std::chrono::milliseconds;
using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::IsEmpty;

Rank rank_of_two(int rank, int port) {
  return {.rank = rank,
          .world_size = 2,
          .local_rank = rank,
          .local_world_size = 2,
          .address = "127.0.0.1",
          .port = port,
          .hosts_store = rank == 0,
          .launcher = "Slurm"};
}

TEST(ConnectStore, SaysWhatItWaitsForAndEndsWithAnError) {
  const ReservedPort port;
  const Rank rank = rank_of_two(1, port.number());
  testing::internal::CaptureStdout();
  const std::string message =
      error_of<RunError>([&] { connect_store(rank, {.in_all = milliseconds(2000), .until_said = milliseconds(50)}); });
  const std::string said = testing::internal::GetCapturedStdout();
  EXPECT_THAT(message, AllOf(ContainsRegex("rank 1 of 2 has waited [0-9]+ s for rank 0 to open the store at"),
                             HasSubstr("127.0.0.1:" + std::to_string(rank.port) + ": Connection refused; "),
                             HasSubstr("MASTER_ADDR")));
  EXPECT_THAT(said, HasSubstr("still waiting"));
}

TEST(ConnectStore, OneRankOfAHostSpeaksForIt) {
  const ReservedPort port;
  Rank rank = rank_of_two(1, port.number());
  rank.rank = 5;
  rank.world_size = 8;
  testing::internal::CaptureStdout();
  error_of<RunError>([&] { connect_store(rank, {.in_all = milliseconds(200), .until_said = milliseconds(50)}); });
  EXPECT_THAT(testing::internal::GetCapturedStdout(), IsEmpty());
}

TEST(ConnectStore, WaitsForAStoreThatOpensLate) {
  const ReservedPort reserved;
  const int port = reserved.number();
  c10::intrusive_ptr<c10d::Store> hosted;
  std::jthread host([&] {
    std::this_thread::sleep_for(milliseconds(300));
    hosted = connect_store(rank_of_two(0, port));
    hosted->set("key", "value");
  });
  const auto store = connect_store(rank_of_two(1, port), {.until_said = milliseconds(50)});
  EXPECT_EQ(store->get_to_str("key"), "value");
  EXPECT_EQ(connect_store_again(rank_of_two(1, port))->get_to_str("key"), "value");
}

}  // namespace
}  // namespace trainyard
