#include "loader/process_usage.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include "support/checkable_pool.h"

namespace trainyard {
namespace {

using testing::Contains;

TEST(ProcessUsage, HasThisProcessTheZygoteAndItsWorkers) {
  const WorkerPool none({.workers = 0}, checkable(10));
  EXPECT_EQ(processes_of(none), std::vector<pid_t>{getpid()});
  WorkerPool two({.workers = 2, .batch_size = 2}, checkable(10));
  DataLoader loader(two, Split::train);
  loader.start_epoch(0);
  loader.next();
  const std::vector<pid_t> processes = processes_of(two);
  EXPECT_EQ(processes.size(), 4u);
  EXPECT_THAT(processes, Contains(two.zygote_pid()));
  EXPECT_GT(pss_mib(processes), pss_mib(std::vector{getpid()}));
}

TEST(ProcessUsage, CountsTheTimeThatAProcessComputes) {
  const std::vector<pid_t> own = {getpid()};
  const double before = cpu_seconds(own);
  const std::clock_t until = std::clock() + CLOCKS_PER_SEC / 10;
  while (std::clock() < until) continue;
  EXPECT_GE(cpu_seconds(own) - before, 0.075) << "user and system time are each rounded down to 0.01 s";
}

TEST(ProcessUsage, CountsProcessesThatHaveEndedAsZero) {
  const std::vector<pid_t> none = {1 << 30};
  EXPECT_EQ(cpu_seconds(none), 0);
  EXPECT_EQ(pss_mib(none), 0);
}

}  // namespace
}  // namespace trainyard
