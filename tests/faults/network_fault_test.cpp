// Two network namespaces simulate two hosts, each with its torchrun. When the link between them is cut, both ends
// detect it themselves and name the lost rank.

#include <gmock/gmock.h>
#include <unistd.h>

#include "support/processes.h"
#include "support/subprocess.h"
#include "support/temp_dir.h"
#include "support/tiny_training.h"

namespace trainyard {
namespace {

using testing::HasSubstr;

bool run_shell(const std::string& script) { return run_program({"sh", "-ec", script}).exit_code == 0; }

class TwoHosts : public testing::Test {
 protected:
  void SetUp() override {
    if (!run_shell("ip netns add " + a_ + " && ip netns add " + b_)) {
      GTEST_SKIP() << "needs iproute2 and the right to make network namespaces";
    }
    ASSERT_TRUE(run_shell("ip link add link0 netns " + a_ + " type veth peer name link0 netns " + b_ +
                          "; for host in " + a_ + ":1 " + b_ +
                          ":2; do n=${host%:*}; ip -n $n link set lo up; ip -n $n addr add "
                          "10.77.0.${host#*:}/24 dev link0; ip -n $n link set link0 up; done"));
  }
  void TearDown() override { run_shell("ip netns del " + a_ + "; ip netns del " + b_); }

  // Returns the command of torchrun's agent on one host, with one rank.
  std::vector<std::string> agent(const std::string& host, int number) const {
    const std::string address = "10.77.0." + std::to_string(number);
    std::vector<std::string> words = {
        // clang-format off
        "ip", "netns", "exec", host, "unshare", "--uts", "--mount", "sh", "-ec",
        "hostname " + host + "; mount --bind " + hosts_ + " /etc/hosts; exec \"$@\"", "sh",
        "env", "GLOO_SOCKET_IFNAME=link0", TRAINYARD_PYTHON, "-m", "torch.distributed.run", "--nnodes", "2",
        "--nproc-per-node", "1", "--rdzv-backend", "c10d", "--rdzv-endpoint", "10.77.0.1:29400", "--rdzv-id", "test",
        "--rdzv-conf", host == a_ ? "is_host=1" : "is_host=0",
        "--local-addr", address, "--log-dir", "/dev/null", "--no-python"
        // clang-format on
    };
    const std::vector<std::string> training =
        tiny_training(dir_ / "runs", "run", "100000", {"--distributed.timeout", "10"});
    words.insert(words.end(), training.begin(), training.end());
    return words;
  }

  TempDir dir_;
  std::string a_ = "ty-a-" + std::to_string(getpid());
  std::string b_ = "ty-b-" + std::to_string(getpid());
  // As distributions write it: a host's own name resolves to the loopback address, so Gloo must be told its interface.
  std::string hosts_ = dir_.write("hosts", "127.0.0.1 localhost " + a_ + " " + b_ + "\n");
};

TEST_F(TwoHosts, BothNameTheRankThatTheyHaveLostIfTheLinkIsCut) {
  Subprocess a(agent(a_, 1));
  Subprocess b(agent(b_, 2));
  const auto trains = [&] { return count_of(a.output_so_far() + b.output_so_far(), "epoch 2/") == 1; };
  ASSERT_TRUE(comes_true(trains)) << a.output_so_far() << b.output_so_far();
  const std::vector<pid_t> ranks = {children_of(a.pid()).front(), children_of(b.pid()).front()};
  ASSERT_TRUE(run_shell("ip -n " + a_ + " link set link0 down"));
  for (const pid_t rank : ranks) EXPECT_TRUE(comes_true([&] { return has_ended(rank); }));
  const std::string text_a = a.output_so_far();
  const std::string text_b = b.output_so_far();
  const bool zero_is_on_a = text_a.find("epoch 2/") != std::string::npos;
  EXPECT_THAT(zero_is_on_a ? text_a : text_b, HasSubstr("rank 1 of 2 on " + (zero_is_on_a ? b_ : a_)));
  EXPECT_THAT(zero_is_on_a ? text_b : text_a, HasSubstr("rank 0 of 2 on " + (zero_is_on_a ? a_ : b_)));
}

}  // namespace
}  // namespace trainyard
