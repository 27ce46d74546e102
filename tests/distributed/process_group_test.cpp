#include "distributed/process_group.h"

#include <array>
#include <chrono>
#include <list>
#include <memory>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "support/ranks.h"
#include "support/temp_dir.h"
#include "support/tiny_training.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

// Rank 1, a slow one, still reads from the store when rank 0 has passed its last barrier.
TEST(ProcessGroup, KeepsItsStoreUntilTheOtherRanksHaveLeft) {
  const ReservedPort port;
  const auto rank = [&](int index) {
    return Rank{.rank = index,
                .world_size = 2,
                .local_rank = index,
                .local_world_size = 2,
                .address = "127.0.0.1",
                .port = port.number(),
                .hosts_store = index == 0};
  };
  std::thread first([&] {
    ProcessGroup group(rank(0), at::kCPU, /*timeout_seconds=*/60);
    group.save_text("kept");
    group.shut_down();
  });
  {
    ProcessGroup group(rank(1), at::kCPU, /*timeout_seconds=*/60);
    group.barrier();
    group.barrier();
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    EXPECT_EQ(group.saved_text(), "kept");
  }
  first.join();
}

// Two names of one host simulate two hosts, each in a namespace of its own.
std::vector<std::string> on_host(const std::string& name, const std::vector<std::string>& command) {
  std::vector<std::string> words = {"unshare", "--uts", "sh", "-ec", "hostname " + name + "; exec \"$@\"", "sh"};
  words.insert(words.end(), command.begin(), command.end());
  return words;
}

class RanksOnTwoHosts : public testing::Test {
 protected:
  void SetUp() override {
    if (run_program(on_host("any", {"true"})).exit_code != 0) {
      GTEST_SKIP() << "needs util-linux and the right to make namespaces";
    }
  }

  // The outcome of rank 0 on host-a and of rank 1 on host-b.
  static std::vector<Outcome> run(const std::vector<std::string>& command) {
    return Ranks({on_host("host-a", command), on_host("host-b", command)}).wait();
  }

  TempDir dir_;
};

TEST_F(RanksOnTwoHosts, GatherOnTheirOwnHostAlone) {
  const std::vector<Outcome> ranks = run({TRAINYARD_RANK_PROGRAM, "ranks_of_host", "--train.device", "cpu"});
  EXPECT_EQ(ranks[0].output, "rank 0\n");
  EXPECT_EQ(ranks[1].output, "rank 1\n");
}

TEST_F(RanksOnTwoHosts, AnErrorOfLibTorchReachesTheOtherWithoutItsStack) {
  std::vector<std::string> command = tiny_training(dir_ / "runs", "trapped", "4", {"--model.name", "trapping"});
  command[0] = TRAINYARD_RANK_PROGRAM;
  const std::vector<Outcome> ranks = run(command);
  for (const Outcome& rank : ranks) {
    EXPECT_EQ(rank.exit_code, 1);
    EXPECT_THAT(rank.output,
                AllOf(HasSubstr("rank 1 of 2 on host-b: "), HasSubstr("is out of bounds"), Not(HasSubstr("frame #"))));
  }
}

UniqueFd connection_to(int port) {
  UniqueFd result(check_call(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "test", "socket", "a connection"));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  if (connect(result.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) result.reset();
  return result;
}

// Forwards connections to a port of this host. What the server sends arrives late, as on a slow network.
class SlowLink {
 public:
  explicit SlowLink(int server) : server_(server) {
    check_call(listen(listener_.get(), 16), "test", "listen", "a port");  // binds it to an unused one
    threads_.emplace_back([this] { serve(); });
  }
  ~SlowLink() {
    shutdown(listener_.get(), SHUT_RDWR);
    threads_.front().join();  // before the others: it starts them
  }

  int port() const {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    check_call(getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size), "test", "getsockname", "");
    return ntohs(address.sin_port);
  }

 private:
  void serve() {
    for (int client = 0; (client = accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) {
      const auto ends = std::make_shared<std::array<UniqueFd, 2>>();
      (*ends)[0] = UniqueFd(client);
      (*ends)[1] = connection_to(server_);
      threads_.emplace_back([=] { forward((*ends)[0].get(), (*ends)[1].get(), std::chrono::milliseconds(0)); });
      threads_.emplace_back([=] { forward((*ends)[1].get(), (*ends)[0].get(), std::chrono::milliseconds(100)); });
    }
  }

  static void forward(int from, int to, std::chrono::milliseconds late) {
    std::array<std::byte, 4096> part;
    for (ssize_t count = 0; (count = recv(from, part.data(), part.size(), 0)) > 0;) {
      std::this_thread::sleep_for(late);
      if (send(to, part.data(), static_cast<std::size_t>(count), MSG_NOSIGNAL) != count) break;
    }
    shutdown(to, SHUT_WR);
  }

  int server_;
  UniqueFd listener_{check_call(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "test", "socket", "a port")};
  std::list<std::jthread> threads_;
};

// The store is hosted by rank 0, which must not end before rank 1 has the answers that it waits for.
class StoreThatAnswersLate : public testing::Test {
 protected:
  static std::unique_ptr<Subprocess> start(int rank, int store, const std::vector<std::string>& command) {
    return std::make_unique<Subprocess>(
        command,
        std::vector<std::string>{fmt::format("RANK={}", rank), "WORLD_SIZE=2", fmt::format("LOCAL_RANK={}", rank),
                                 "LOCAL_WORLD_SIZE=2", "MASTER_ADDR=127.0.0.1", fmt::format("MASTER_PORT={}", store),
                                 "OMP_NUM_THREADS=1"});
  }

  // The outcomes of rank 0 and rank 1.
  static std::vector<Outcome> run(const std::vector<std::string>& first, const std::vector<std::string>& second) {
    const ReservedPort port;
    const SlowLink link(port.number());
    const auto rank_0 = start(0, port.number(), first);
    EXPECT_TRUE(comes_true([&] { return connection_to(port.number()).get() >= 0; })) << rank_0->output_so_far();
    const auto rank_1 = start(1, link.port(), second);
    return {rank_0->wait(), rank_1->wait()};
  }

  TempDir dir_;
};

TEST_F(StoreThatAnswersLate, DoesNotFailARunThatSucceeds) {
  const std::vector<std::string> command = {TRAINYARD_RANK_PROGRAM, "ranks_of_host", "--train.device", "cpu"};
  for (const Outcome& outcome : run(command, command)) {
    EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
    EXPECT_EQ(outcome.output, "rank 0\nrank 1\n");
  }
}

TEST_F(StoreThatAnswersLate, ChangesNoErrorThatAllRanksFind) {
  const auto with_lr = [&](const char* lr) { return tiny_training(dir_ / "runs", "run", "1", {"--optimizer.lr", lr}); };
  for (const Outcome& outcome : run(with_lr("0.01"), with_lr("0.02"))) {
    EXPECT_EQ(outcome.exit_code, 2) << outcome.output;
    EXPECT_THAT(outcome.output, HasSubstr("rank 1 was started with 'optimizer.lr = 0.02', rank 0 with"));
  }
}

}  // namespace
}  // namespace trainyard
