#include "distributed/connect_store.h"

#include <string>
#include <thread>

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "support/error_of.h"
#include "util/error.h"
#include "util/system.h"

namespace trainyard {
namespace {

using std::chrono::milliseconds;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

// A port of this host at which nothing listens.
int free_port() {
  const UniqueFd socket(check_call(::socket(AF_INET, SOCK_STREAM, 0), "test", "socket", "a free port"));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  check_call(bind(socket.get(), reinterpret_cast<sockaddr*>(&address), size), "test", "bind", "a free port");
  check_call(getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size), "test", "getsockname", "a port");
  return ntohs(address.sin_port);
}

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
  const Rank rank = rank_of_two(1, free_port());
  testing::internal::CaptureStdout();
  const std::string message =
      error_of<RunError>([&] { connect_store(rank, {.in_all = milliseconds(400), .until_said = milliseconds(50)}); });
  const std::string said = testing::internal::GetCapturedStdout();
  EXPECT_THAT(message, AllOf(HasSubstr("rank 1 of 2 has waited 0 s for rank 0 to open the store at"),
                             HasSubstr("127.0.0.1:" + std::to_string(rank.port) + ": Connection refused; "),
                             HasSubstr("MASTER_ADDR")));
  EXPECT_THAT(said, HasSubstr("still waiting"));
}

TEST(ConnectStore, OneRankOfAHostSpeaksForIt) {
  Rank rank = rank_of_two(1, free_port());
  rank.rank = 5;
  rank.world_size = 8;
  testing::internal::CaptureStdout();
  error_of<RunError>([&] { connect_store(rank, {.in_all = milliseconds(200), .until_said = milliseconds(50)}); });
  EXPECT_THAT(testing::internal::GetCapturedStdout(), IsEmpty());
}

TEST(ConnectStore, WaitsForAStoreThatOpensLate) {
  const int port = free_port();
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
