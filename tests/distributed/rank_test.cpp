#include "distributed/rank.h"

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/error_of.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::HasSubstr;
using Variables = std::map<std::string, std::string>;

Rank rank_in(const Variables& variables) {
  return rank_of([&](const char* name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  });
}

Variables with(Variables variables, const Variables& others) {
  for (const auto& [name, value] : others) variables[name] = value;
  return variables;
}

Variables without(Variables variables, const std::string& name) {
  variables.erase(name);
  return variables;
}

const Variables of_torchrun = {{"RANK", "5"},
                               {"WORLD_SIZE", "8"},
                               {"LOCAL_RANK", "1"},
                               {"LOCAL_WORLD_SIZE", "4"},
                               {"MASTER_ADDR", "gpu1"},
                               {"MASTER_PORT", "29500"},
                               {"TORCHELASTIC_RESTART_COUNT", "2"},
                               {"TORCHELASTIC_USE_AGENT_STORE", "True"}};
const Variables of_slurm = {{"SLURM_PROCID", "5"},
                            {"SLURM_STEP_NUM_TASKS", "8"},
                            {"SLURM_LOCALID", "1"},
                            {"SLURM_STEP_NODELIST", "gpu[07,09]"},
                            {"SLURM_STEP_TASKS_PER_NODE", "4(x2)"},
                            {"SLURM_JOB_ID", "1234567"}};
const Variables of_open_mpi = {{"OMPI_COMM_WORLD_RANK", "1"},
                               {"OMPI_COMM_WORLD_SIZE", "2"},
                               {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                               {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"}};

struct Case {
  const char* name;
  Variables variables;
  std::string expected;  // rank/size, local rank/size, address:port, hosts the store, restarts, launcher
};

std::string text_of(const Rank& rank) {
  return fmt::format("{}/{} {}/{} {}:{}{} {} {}", rank.rank, rank.world_size, rank.local_rank, rank.local_world_size,
                     rank.address, rank.port, rank.hosts_store ? " hosts" : "", rank.restarts, rank.launcher);
}

TEST(RankOf, ReadsTheVariablesOfEachLauncher) {
  const Case cases[] = {
      {"none", {}, "0/1 0/1 :0 0 "},
      {"torchrun", of_torchrun, "5/8 1/4 gpu1:29500 2 torchrun"},
      {"torchrun, rank 0 beside the agent's store", with(of_torchrun, {{"RANK", "0"}, {"LOCAL_RANK", "0"}}),
       "0/8 0/4 gpu1:29500 2 torchrun"},
      {"torchrun, static rendezvous: rank 0 has to open the store",
       with(of_torchrun, {{"RANK", "0"}, {"LOCAL_RANK", "0"}, {"TORCHELASTIC_USE_AGENT_STORE", "False"}}),
       "0/8 0/4 gpu1:29500 hosts 2 torchrun"},
      {"torchrun's four variables set by hand",
       {{"RANK", "0"}, {"WORLD_SIZE", "1"}, {"MASTER_ADDR", "127.0.0.1"}, {"MASTER_PORT", "1"}},
       "0/1 0/1 127.0.0.1:1 hosts 0 torchrun"},
      {"torchrun inside a Slurm job", with(of_slurm, of_torchrun), "5/8 1/4 gpu1:29500 2 torchrun"},
      {"Slurm", of_slurm, "5/8 1/4 gpu07:24567 0 Slurm"},
      {"Slurm, rank 0", with(of_slurm, {{"SLURM_PROCID", "0"}, {"SLURM_LOCALID", "0"}}),
       "0/8 0/4 gpu07:24567 hosts 0 Slurm"},
      {"Slurm, requeued", with(of_slurm, {{"SLURM_RESTART_COUNT", "3"}}), "5/8 1/4 gpu07:24567 3 Slurm"},
      {"Slurm, address and port given", with(of_slurm, {{"MASTER_ADDR", "10.0.0.1"}, {"MASTER_PORT", "4000"}}),
       "5/8 1/4 10.0.0.1:4000 0 Slurm"},
      {"Slurm, a range of hosts", with(of_slurm, {{"SLURM_STEP_NODELIST", "gpu[3-4]"}}), "5/8 1/4 gpu3:24567 0 Slurm"},
      {"Slurm, one of a range", with(of_slurm, {{"SLURM_STEP_NODELIST", "a1,b[2-9]"}}), "5/8 1/4 a1:24567 0 Slurm"},
      {"Slurm, a single host", with(of_slurm, {{"SLURM_STEP_NODELIST", "login"}}), "5/8 1/4 login:24567 0 Slurm"},
      {"a batch script without srun", without(of_slurm, "SLURM_STEP_NUM_TASKS"), "0/1 0/1 :0 0 "},
      {"Open MPI on one host", of_open_mpi, "1/2 1/2 127.0.0.1:29500 0 Open MPI"},
      {"Open MPI on two hosts",
       with(of_open_mpi,
            {{"OMPI_COMM_WORLD_LOCAL_RANK", "0"}, {"OMPI_COMM_WORLD_LOCAL_SIZE", "1"}, {"MASTER_ADDR", "gpu1"}}),
       "1/2 0/1 gpu1:29500 0 Open MPI"},
  };
  for (const Case& each : cases) EXPECT_EQ(text_of(rank_in(each.variables)), each.expected) << each.name;
}

TEST(RankOf, TellsTorchrunsOfOneHostApart) {
  EXPECT_EQ(rank_in(of_torchrun).node, 0);
  EXPECT_EQ(rank_in(with(of_torchrun, {{"GROUP_RANK", "3"}})).node, 3);
}

TEST(RankOf, RefusesVariablesThatContradictOneAnother) {
  const Case cases[] = {
      {"a rank beyond the last", with(of_torchrun, {{"RANK", "8"}}), "rank 8 of 8"},
      {"a local rank beyond the last", with(of_torchrun, {{"LOCAL_RANK", "4"}}), "local rank 4 of 4"},
      {"more local ranks than ranks", with(of_torchrun, {{"LOCAL_WORLD_SIZE", "9"}}), "local rank 1 of 9"},
      {"no number", with(of_torchrun, {{"RANK", "five"}}), "RANK is 'five'; allowed: whole numbers from 0"},
      {"a negative number", with(of_torchrun, {{"RANK", "-1"}}), "RANK is '-1'"},
      {"a number with a tail", with(of_torchrun, {{"WORLD_SIZE", "8 "}}), "WORLD_SIZE is '8 '"},
      {"an empty value", with(of_torchrun, {{"MASTER_PORT", ""}}),
       "MASTER_PORT is ''; allowed: whole numbers from 1 to"},
      {"a port beyond the last", with(of_torchrun, {{"MASTER_PORT", "65536"}}), "MASTER_PORT is '65536'"},
      {"no address", without(of_torchrun, "MASTER_ADDR"), "MASTER_ADDR is missing"},
      {"Slurm without a local rank", without(of_slurm, "SLURM_LOCALID"), "SLURM_LOCALID is missing"},
      {"Slurm, tasks of another kind", with(of_slurm, {{"SLURM_STEP_TASKS_PER_NODE", "x"}}),
       "SLURM_STEP_TASKS_PER_NODE is 'x'"},
      {"Slurm, more tasks on a host than in all", with(of_slurm, {{"SLURM_STEP_TASKS_PER_NODE", "9"}}),
       "local rank 1 of 9"},
      {"Open MPI on two hosts, no address",
       with(of_open_mpi, {{"OMPI_COMM_WORLD_LOCAL_RANK", "0"}, {"OMPI_COMM_WORLD_LOCAL_SIZE", "1"}}),
       "mpirun -x MASTER_ADDR"},
  };
  for (const Case& each : cases) {
    EXPECT_THAT(error_of<UsageError>([&] { rank_in(each.variables); }), HasSubstr(each.expected)) << each.name;
  }
}

TEST(Rank, SharesOfAHostDifferByAtMostOneAndAddUp) {
  for (const int total : {0, 1, 5, 8, 64}) {
    for (const int ranks : {1, 3, 8}) {
      int sum = 0;
      for (int local_rank = 0; local_rank < ranks; ++local_rank) {
        const int share = Rank{.local_rank = local_rank, .local_world_size = ranks}.share_of(total);
        EXPECT_GE(share, total / ranks);
        EXPECT_LE(share, total / ranks + 1);
        sum += share;
      }
      EXPECT_EQ(sum, total) << ranks << " ranks";
    }
  }
}

}  // namespace
}  // namespace trainyard
