#include "distributed/process_group.h"

#include <thread>

#include <gmock/gmock.h>

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

}  // namespace
}  // namespace trainyard
