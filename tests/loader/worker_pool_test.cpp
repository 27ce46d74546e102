#include "loader/worker_pool.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <random>
#include <set>
#include <thread>

#include <dirent.h>
#include <gmock/gmock.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/checkable_pool.h"
#include "support/error_of.h"
#include "support/processes.h"
#include "support/tmpfs.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;

// Waits until all workers have been forked, which continues while the first ones already work.
std::vector<WorkerStatus> workers_of(const WorkerPool& pool) {
  for (;;) {
    std::vector<WorkerStatus> workers = pool.status();
    if (std::none_of(workers.begin(), workers.end(), [](const WorkerStatus& one) { return one.pid == 0; })) {
      return workers;
    }
    usleep(1'000);
  }
}

std::vector<pid_t> processes_of(const WorkerPool& pool) {
  std::vector<pid_t> pids = {pool.zygote_pid()};
  for (const WorkerStatus& worker : workers_of(pool)) pids.push_back(worker.pid);
  return pids;
}

std::set<std::string> files_in(const std::string& directory) {
  std::set<std::string> names;
  DIR* stream = opendir(directory.c_str());
  if (stream == nullptr) throw RunError("test", "{} cannot be listed", directory);
  while (const dirent* entry = readdir(stream)) names.insert(entry->d_name);
  closedir(stream);
  return names;
}

std::string first_line_of(const std::string& path) {
  std::string line;
  std::getline(std::ifstream(path), line);
  return line;
}

// Returns the error of a run in which `misdeed` happens in the worker that reads sample 43 of 100.
std::string error_when(void (*misdeed)(), double timeout_seconds = 3600) {
  WorkerPool pool({.workers = 3, .batch_size = 8, .timeout_seconds = timeout_seconds},
                  checkable(100, 0, [=](std::size_t index) {
                    if (index == 43) misdeed();
                  }));
  DataLoader loader(pool, Split::train, {.shuffle = true});
  const std::string error = error_of(loader).value_or("no error");
  EXPECT_EQ(error_of(loader), error) << "a broken pool must stay broken";
  return error;
}

TEST(WorkerPool, NamesWorkerSignalAndSampleOfASegmentationFault) {
  EXPECT_THAT(error_when([] { raise(SIGSEGV); }),
              testing::MatchesRegex("\\[loader\\] worker [123] \\(pid [0-9]+\\) was killed by signal 11 "
                                    "\\(Segmentation fault\\) while reading sample 43 of train; .*"));
}

TEST(WorkerPool, NamesAWorkerThatWasKilledWhileReading) {
  EXPECT_THAT(error_when([] { kill(getpid(), SIGKILL); }),
              AllOf(HasSubstr("was killed by signal 9 (Killed)"), HasSubstr("while reading sample 43 of train")));
}

TEST(WorkerPool, NamesAWorkerThatExits) {
  EXPECT_THAT(error_when([] { _exit(3); }),
              AllOf(HasSubstr("exited with code 3"), HasSubstr("while reading sample 43 of train")));
}

TEST(WorkerPool, NamesTheSampleOfAHang) {
  EXPECT_THAT(error_when(
                  [] {
                    for (;;) pause();
                  },
                  0.5),
              AllOf(HasSubstr("has been reading sample 43 of train for"), HasSubstr("is sleeping"),
                    HasSubstr("loader.timeout is 0.5 s")));
}

TEST(WorkerPool, NamesAWorkerThatIsStopped) {
  EXPECT_THAT(error_when([] { raise(SIGSTOP); }, 0.5),
              AllOf(HasSubstr("has been reading sample 43 of train for"), HasSubstr("is stopped by a signal")));
}

TEST(WorkerPool, NoticesThatAllWorkersAreStoppedBetweenSamples) {
  WorkerPool pool({.workers = 2, .batch_size = 8, .timeout_seconds = 0.5}, checkable(100));
  for (const WorkerStatus& worker : workers_of(pool)) kill(worker.pid, SIGSTOP);
  DataLoader loader(pool, Split::train);
  EXPECT_THAT(error_of(loader).value_or(""),
              AllOf(HasSubstr("no worker has read anything"), HasSubstr("is stopped by a signal")));
}

TEST(WorkerPool, ToleratesASlowSampleWithinTheTimeout) {
  WorkerPool pool({.workers = 2, .batch_size = 4, .timeout_seconds = 1},
                  checkable(24, 0, [](std::size_t) { usleep(100'000); }));
  DataLoader loader(pool, Split::train);  // a batch takes 0.2 s, an epoch 1.2 s
  EXPECT_EQ(error_of(loader), std::nullopt);
}

// The effect of `misdeed` in the worker that reads sample 43 of 100, the first `times` times it is read.
struct Aftermath {
  std::vector<std::uint64_t> delivered;
  std::string error;
  FaultCounts faults;
};

Aftermath aftermath_of(OnWorkerError policy, int times, void (*misdeed)(), double timeout_seconds) {
  const SharedCounter done;
  WorkerPool pool({.workers = 3, .batch_size = 8, .timeout_seconds = timeout_seconds, .on_worker_error = policy},
                  checkable(100, 0, [=](std::size_t index) {
                    if (index == 43 && done.add_one() < times) misdeed();
                  }));
  DataLoader loader(pool, Split::train, {.shuffle = true});
  Aftermath result;
  try {
    loader.start_epoch(0);
    for (const auto& batch : rest_of_epoch(loader)) {
      result.delivered.insert(result.delivered.end(), batch.begin(), batch.end());
    }
  } catch (const RunError& e) {
    result.error = e.what();
  }
  result.faults = pool.faults();
  return result;
}

std::vector<std::uint64_t> order_without(std::uint64_t unreadable) {
  std::vector<std::uint64_t> result;
  for (std::uint64_t position = 0; position < 100; ++position) {
    if (const auto index = SampleOrder(0, 0, 100, true)(position); index != unreadable) result.push_back(index);
  }
  return result;
}

class LostWorker : public testing::TestWithParam<std::pair<const char*, void (*)()>> {
 protected:
  static bool is_hang() { return std::string_view(GetParam().first).starts_with("Hang"); }
  // Only a hang takes a short time limit; other workers must not exceed it on a busy machine.
  static Aftermath after(OnWorkerError policy, int times) {
    return aftermath_of(policy, times, GetParam().second, is_hang() ? 0.5 : 3600);
  }
  static std::uint64_t lost(const FaultCounts& faults) {
    EXPECT_EQ(is_hang() ? faults.deaths : faults.hangs, 0u);
    return is_hang() ? faults.hangs : faults.deaths;
  }
};

TEST_P(LostWorker, IsReplacedAndItsSampleReadAgain) {
  for (const OnWorkerError policy : {OnWorkerError::retry, OnWorkerError::skip}) {
    const Aftermath aftermath = after(policy, max_tries - 1);
    EXPECT_EQ(aftermath.error, "");
    EXPECT_EQ(aftermath.delivered, order_without(100));
    EXPECT_EQ(lost(aftermath.faults), max_tries - 1);
    EXPECT_EQ(aftermath.faults.retries, max_tries - 1);
    EXPECT_EQ(aftermath.faults.skipped, 0u);
  }
}

TEST_P(LostWorker, RetryFailsOnASampleThatAlwaysKillsItsWorker) {
  const Aftermath aftermath = after(OnWorkerError::retry, 1000);
  EXPECT_THAT(aftermath.error, AllOf(HasSubstr("sample 43 of train"), HasSubstr("it was tried 3 times")));
}

TEST_P(LostWorker, SkipLeavesOutASampleThatAlwaysKillsItsWorker) {
  const Aftermath aftermath = after(OnWorkerError::skip, 1000);
  EXPECT_EQ(aftermath.error, "");
  EXPECT_EQ(aftermath.delivered, order_without(43));
  EXPECT_EQ(lost(aftermath.faults), max_tries);
  EXPECT_EQ(aftermath.faults.skipped, 1u);
}

INSTANTIATE_TEST_SUITE_P(By, LostWorker,
                         testing::Values(std::pair{"SegmentationFault", +[] { raise(SIGSEGV); }},
                                         std::pair{"Kill", +[] { raise(SIGKILL); }},
                                         std::pair{"Exit", +[] { _exit(3); }},
                                         std::pair{"Hang",
                                                   +[] {
                                                     for (;;) pause();
                                                   }},
                                         std::pair{"HangStopped", +[] { raise(SIGSTOP); }}),
                         [](const auto& with) { return with.param.first; });

TEST(WorkerPool, StoppedWorkersAreReplacedUnderRetry) {
  WorkerPool pool({.workers = 2, .batch_size = 8, .timeout_seconds = 0.5, .on_worker_error = OnWorkerError::retry},
                  checkable(100));
  for (const WorkerStatus& worker : workers_of(pool)) kill(worker.pid, SIGSTOP);
  DataLoader loader(pool, Split::train);
  EXPECT_EQ(error_of(loader, 2), std::nullopt);
  EXPECT_GE(pool.faults().hangs, 1u);  // the first replacement may do all the work before the second worker has ended
}

TEST(WorkerPool, AWorkerLostWhileItsBatchIsBeingDroppedIsReplaced) {
  const SharedCounter begun;
  WorkerPool pool({.workers = 2, .batch_size = 8, .on_worker_error = OnWorkerError::retry},
                  checkable(100, 0, [=](std::size_t) {
                    if (begun.add_one() < 2) usleep(50'000), raise(SIGKILL);
                  }));
  DataLoader loader(pool, Split::train);
  loader.start_epoch(0);
  EXPECT_EQ(error_of(loader, 2), std::nullopt);
  EXPECT_EQ(pool.faults().deaths, 2u);
}

TEST(WorkerPool, NoticesAWorkerKilledWhileIdle) {
  WorkerPool pool({.workers = 2, .batch_size = 8}, checkable(100));
  const pid_t victim = workers_of(pool)[1].pid;
  kill(victim, SIGKILL);
  DataLoader loader(pool, Split::train);
  EXPECT_THAT(error_of(loader, 1'000'000).value_or(""),
              HasSubstr("worker 2 (pid " + std::to_string(victim) + ") was killed by signal 9 (Killed) while it was"));
}

TEST(WorkerPool, AWorkerThatReadsBetweenItsDeathsIsReplacedEachTime) {
  constexpr std::uint64_t deaths = 30;
  WorkerPool pool({.workers = 1, .batch_size = 1, .on_worker_error = OnWorkerError::retry}, checkable(1000));
  DataLoader loader(pool, Split::train);
  loader.start_epoch(0);
  for (std::uint64_t death = 0; death < deaths; ++death) {
    const std::uint64_t before = pool.status()[0].samples;
    while (pool.status()[0].samples == before) ASSERT_TRUE(loader.next());
    kill(pool.status()[0].pid, SIGKILL);  // mostly while it waits for work
    while (pool.faults().deaths == death) ASSERT_TRUE(loader.next());
  }
}

TEST(WorkerPool, NoticesThatTheZygoteWasKilled) {
  WorkerPool pool({.workers = 2, .batch_size = 8}, checkable(100));
  kill(pool.zygote_pid(), SIGKILL);
  DataLoader loader(pool, Split::train);
  EXPECT_THAT(error_of(loader, 1'000'000).value_or(""),
              AllOf(HasSubstr("the process that keeps the datasets and the workers"), HasSubstr("signal 9 (Killed)")));
}

TEST(WorkerPool, AFactoryThatCrashesIsAnErrorNotAHang) {
  const auto crash = []() -> std::vector<LoadedSplit> { _exit(raise(SIGSEGV)); };
  try {
    WorkerPool pool({.workers = 2}, crash);
    FAIL();
  } catch (const RunError& e) {
    EXPECT_THAT(e.what(), HasSubstr("was killed by signal 11 (Segmentation fault)"));
  }
}

TEST(WorkerPool, SignalsThatEndARunAreTheTrainersToHandle) {
  WorkerPool pool({.workers = 2, .batch_size = 8}, checkable(100));
  for (const pid_t pid : processes_of(pool)) {
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) kill(pid, number);
  }
  DataLoader loader(pool, Split::train);
  EXPECT_EQ(error_of(loader, 3), std::nullopt);
}

TEST(WorkerPool, WorkersHaveNamesAndNoDescriptorsOfTheTrainer) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  WorkerPool pool({.workers = 2, .batch_size = 1 << 16}, checkable(100));  // its memory has many files
  DataLoader loader(pool, Split::train);
  ASSERT_EQ(error_of(loader), std::nullopt);
  // One worker may have read everything before the other has started. Setting its name is the last step of its start.
  const std::string folder = "/proc/" + std::to_string(workers_of(pool)[1].pid);
  const std::string title = "trainyard: loader 2/2";
  EXPECT_TRUE(comes_true([&] { return first_line_of(folder + "/cmdline").starts_with(title); }));
  EXPECT_EQ(first_line_of(folder + "/comm"), "loader 2/2");
  close(ends[1]);
  char byte = 0;
  EXPECT_EQ(read(ends[0], &byte, 1), 0) << "somebody still holds the other end of the pipe";
  close(ends[0]);

  EXPECT_LE(files_in(folder + "/fd").size(), 2u + 3u + 1u) << "., .., the standard streams, eventfd";
}

TEST(WorkerPool, LeavesNoProcessAndNoFileBehind) {
  std::string directory = "/dev/shm/trainyard-test-XXXXXX";
  ASSERT_NE(mkdtemp(directory.data()), nullptr);
  const auto files = files_in(directory);
  std::vector<pid_t> pids;
  {
    WorkerPool pool({.workers = 3, .batch_size = 8, .directory = directory}, checkable(100));
    pids = processes_of(pool);
    DataLoader loader(pool, Split::train);
    loader.start_epoch(0);
    EXPECT_TRUE(loader.next());
    EXPECT_EQ(files_in(directory), files) << "the arena must have no name that could be left behind";
  }
  for (const pid_t pid : pids) EXPECT_FALSE(exists(pid));
  EXPECT_EQ(rmdir(directory.c_str()), 0) << "something is left in it";
}

TEST(WorkerPool, EndsEvenWhileAWorkerHangs) {
  std::vector<pid_t> pids;
  {
    WorkerPool pool({.workers = 2, .batch_size = 8}, checkable(100, 0, [](std::size_t) {
                      for (;;) pause();
                    }));
    pids = processes_of(pool);
    DataLoader loader(pool, Split::train);
    loader.start_epoch(0);
  }
  for (const pid_t pid : pids) EXPECT_FALSE(exists(pid));
}

// As a subreaper, the test becomes the parent of the orphans of a killed trainer and can wait for each without polling.
TEST(WorkerPool, NobodySurvivesAKilledTrainer) {
  ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t trainer = fork();
  if (trainer == 0) {
    WorkerPool pool({.workers = 3, .batch_size = 8}, checkable(100, 0, [](std::size_t index) {
                      if (index == 60) pause();  // one is busy, two sleep
                    }));
    DataLoader loader(pool, Split::train);
    loader.start_epoch(0);
    loader.next();
    const auto pids = processes_of(pool);
    if (write(ends[1], pids.data(), pids.size() * sizeof(pid_t)) < 0) _exit(1);
    for (;;) loader.next();
  }
  std::vector<pid_t> pids(4);
  ASSERT_EQ(read(ends[0], pids.data(), pids.size() * sizeof(pid_t)), pids.size() * sizeof(pid_t));
  ASSERT_EQ(kill(trainer, SIGKILL), 0);
  ASSERT_EQ(waitpid(trainer, nullptr, 0), trainer);
  for (const pid_t pid : pids) {
    // If the zygote has lived long enough, it has already waited for its workers.
    EXPECT_TRUE(waitpid(pid, nullptr, 0) == pid || !exists(pid)) << pid;
  }
  close(ends[0]);
  close(ends[1]);
  prctl(PR_SET_CHILD_SUBREAPER, 0);
}

// Runs in a child process, because the limit cannot be raised again.
int exit_code_with_descriptors(rlim_t limit, void (*body)()) {
  const pid_t child = fork();
  if (child == 0) {
    const rlimit descriptors{limit, limit};
    setrlimit(RLIMIT_NOFILE, &descriptors);
    body();
    _exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(WorkerPool, NeedsNoMoreDescriptorsForMoreWorkersAndBatches) {
  EXPECT_EQ(exit_code_with_descriptors(16,
                                       [] {
                                         WorkerPool pool({.workers = 20, .batch_size = 2}, checkable(1000));
                                         DataLoader loader(pool, Split::train, {.shuffle = true});
                                         EXPECT_EQ(error_of(loader, 3), std::nullopt);
                                       }),
            0);
}

TEST(WorkerPool, TooFewDescriptorsAreAnErrorThatSaysSo) {
  EXPECT_EQ(exit_code_with_descriptors(3,
                                       [] {
                                         try {
                                           WorkerPool pool({.workers = 2}, checkable(1000));
                                           ADD_FAILURE();
                                         } catch (const RunError& e) {
                                           EXPECT_THAT(e.what(),
                                                       AllOf(HasSubstr("Too many open files"), HasSubstr("ulimit -n")));
                                         }
                                       }),
            0);
}

TEST(WorkerPool, TooFewDescriptorsForTheBatchesMemoryAreAnErrorThatSaysSo) {
  for (const rlim_t limit : {12, 16}) {  // enough to start, too few for the files of the memory
    EXPECT_EQ(exit_code_with_descriptors(limit,
                                         [] {
                                           try {
                                             WorkerPool pool({.workers = 2, .batch_size = 1 << 18}, checkable(1 << 19));
                                             ADD_FAILURE();
                                           } catch (const RunError& e) {
                                             EXPECT_THAT(e.what(), AllOf(HasSubstr("Too many open files"),
                                                                         HasSubstr("ulimit -n")));
                                           }
                                         }),
              0);
  }
}

TEST(SmallSharedMemory, PrefetchesFewerBatchesIfNotAllFit) {
  Tmpfs tmpfs(2048);
  if (!tmpfs.mounted()) GTEST_SKIP() << "mounting a tmpfs needs root";
  testing::internal::CaptureStdout();
  WorkerPool pool({.workers = 2, .batch_size = 4096, .prefetch = 16, .directory = tmpfs.path()}, checkable(20'000));
  const std::size_t bytes = pool.memory().size();
  EXPECT_GE(bytes, Arena::least_bytes(pool.arena().shape()));
  EXPECT_LE(bytes, 2'097'152u);
  EXPECT_LT(pool.arena().control().slots_reserved, 18u);
  DataLoader loader(pool, Split::train, {.shuffle = true});
  EXPECT_EQ(error_of(loader, 2), std::nullopt);
  EXPECT_THAT(testing::internal::GetCapturedStdout(),
              HasSubstr("batches of the 18 that 2 workers with loader.prefetch = 16 need"));
}

TEST(WorkerPool, BatchesOfFewSamplesAreSoManyThatAllWorkersHaveWork) {
  const std::vector<SplitInfo> splits(1);
  const auto slots = [&](int workers, int batch_size) {
    return arena_shape({.workers = workers, .batch_size = batch_size, .prefetch = 4}, splits).slots;
  };
  EXPECT_EQ(slots(0, 1), 6u);
  EXPECT_EQ(slots(2, 1), 6u);
  EXPECT_EQ(slots(16, 128), 6u);
  EXPECT_EQ(slots(16, 4), 8u);
  EXPECT_EQ(slots(16, 1), 26u);
}

TEST(WorkerPool, SlotsThatComeLaterAreUsed) {
  WorkerPool pool({.workers = 2, .batch_size = 4, .prefetch = 7}, checkable(1000));
  DataLoader loader(pool, Split::train);
  loader.start_epoch(0);
  std::vector<Batch> held;
  for (int i = 0; i < 9; ++i) held.push_back(*loader.next());  // the two that exist at the start, and the later ones
  EXPECT_THAT(error_of<RunError>([&] { loader.next(); }), HasSubstr("all 9 slots are held"));
  EXPECT_EQ(pool.memory().size(), Arena::bytes(pool.arena().shape()));
}

TEST(WorkerPool, ReportsAStoppedZygoteWhileWaitingForASlot) {
  WorkerPool pool({.workers = 2, .batch_size = 4, .timeout_seconds = 0.3}, checkable(1000));
  kill(pool.zygote_pid(), SIGSTOP);
  EXPECT_THAT(error_of<RunError>([&] { pool.memory(); }), HasSubstr("slots are reserved after 0.3 s"));
  kill(pool.zygote_pid(), SIGCONT);
}

TEST(SmallSharedMemory, TwoSlotsAreEnough) {
  WorkerPool pool({.workers = 2, .batch_size = 4096, .prefetch = 16}, checkable(20'000));
  Tmpfs tmpfs((Arena::least_bytes(pool.arena().shape()) + 4095) / 4096 * 4 + 4);
  if (!tmpfs.mounted()) GTEST_SKIP() << "mounting a tmpfs needs root";
  WorkerPool small({.workers = 2, .batch_size = 4096, .prefetch = 16, .directory = tmpfs.path()}, checkable(20'000));
  EXPECT_EQ(small.memory().size(), Arena::least_bytes(small.arena().shape()));
  EXPECT_EQ(small.arena().control().slots_reserved, 2u);
  DataLoader loader(small, Split::train, {.shuffle = true});
  EXPECT_EQ(error_of(loader, 2), std::nullopt);
}

// The pool has allocated all its memory by then.
TEST(SmallSharedMemory, FillingUpLaterChangesNothing) {
  Tmpfs tmpfs(1024);
  if (!tmpfs.mounted()) GTEST_SKIP() << "mounting a tmpfs needs root";
  WorkerPool pool({.workers = 2, .batch_size = 64, .directory = tmpfs.path()}, checkable(2'000));
  pool.memory();
  tmpfs.fill_up();
  DataLoader loader(pool, Split::train, {.shuffle = true});
  EXPECT_EQ(error_of(loader, 2), std::nullopt);
}

// Before the first batch arrives, the free space has been checked but not allocated.
TEST(SmallSharedMemory, FillingUpBeforeTheFirstBatchIsAnErrorAndNoSignal) {
  Tmpfs tmpfs(2048);
  if (!tmpfs.mounted()) GTEST_SKIP() << "mounting a tmpfs needs root";
  for (const OnWorkerError policy : {OnWorkerError::stop, OnWorkerError::retry, OnWorkerError::skip}) {
    WorkerPool pool({.workers = 2, .batch_size = 4096, .on_worker_error = policy, .directory = tmpfs.path()},
                    checkable(20'000));
    tmpfs.fill_up();
    DataLoader loader(pool, Split::train, {.shuffle = true});
    EXPECT_THAT(error_of(loader).value_or("no error"),
                AllOf(HasSubstr(tmpfs.path() + " has become too full for its batch, with 0 bytes free"),
                      HasSubstr("--ipc=host")));
    EXPECT_EQ(pool.faults().deaths, 0u);
    EXPECT_THAT(error_of<MachineError>([&] { pool.memory(); }), HasSubstr("has 0 bytes free"));
    tmpfs.make_room();
  }
}

TEST(SmallSharedMemory, ATmpfsWithoutALimitHasRoom) {
  Tmpfs tmpfs(0);
  if (!tmpfs.mounted()) GTEST_SKIP() << "mounting a tmpfs needs root";
  WorkerPool pool({.workers = 2, .batch_size = 64, .directory = tmpfs.path()}, checkable(2'000));
  DataLoader loader(pool, Split::train, {.shuffle = true});
  EXPECT_EQ(error_of(loader), std::nullopt);
}

// Behaves like a kernel before 5.14.
void let_madvise_map_no_pages() {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[2])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MADV_POPULATE_WRITE, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter{std::size(program), program};
  check_call(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "test", "prctl", "no new privileges");
  check_call(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), "test", "prctl", "seccomp");
}

TEST(SmallSharedMemory, AKernelThatCannotMapPagesAheadReservesTwoSlotsAtOnce) {
  Tmpfs tmpfs(2048);
  if (!tmpfs.mounted()) GTEST_SKIP() << "mounting a tmpfs needs root";
  const auto on_old_kernel = [dataset = checkable(20'000)] {
    let_madvise_map_no_pages();
    return dataset();
  };
  WorkerPool pool({.workers = 2, .batch_size = 4096, .directory = tmpfs.path()}, on_old_kernel);
  EXPECT_EQ(pool.arena().control().slots_reserved, 2u);
  tmpfs.fill_up();
  DataLoader loader(pool, Split::train, {.shuffle = true});
  EXPECT_EQ(error_of(loader), std::nullopt);
}

TEST(SmallSharedMemory, TooLittleNamesTheBytesAndTheRemedies) {
  Tmpfs tmpfs(128);
  if (!tmpfs.mounted()) GTEST_SKIP() << "mounting a tmpfs needs root";
  try {
    WorkerPool pool({.workers = 2, .batch_size = 4096, .directory = tmpfs.path()}, checkable(20'000));
    FAIL();
  } catch (const MachineError& e) {
    EXPECT_THAT(e.what(), AllOf(HasSubstr(tmpfs.path() + " has 131072 bytes free"), HasSubstr("are needed"),
                                HasSubstr("--ipc=host"), HasSubstr("--shm-size=")));
  }
}

// Sends signals at random moments. Every delivered batch must be right, and the run must end with an error that names
// the worker. `checked_indices` checks each byte; the order is checked here.
TEST(WorkerPool, ARandomDeathIsNeverAHangAndNeverWrongData) {
  std::mt19937 random(1);
  const SampleOrder order(0, 0, 1000, true);
  for (int round = 0; round < 40; ++round) {
    const int signal = round % 8 == 0 ? SIGSTOP : round % 2 == 0 ? SIGSEGV : SIGKILL;
    WorkerPool pool({.workers = 3, .batch_size = 10, .timeout_seconds = signal == SIGSTOP ? 0.5 : 60},
                    checkable(1000, 0, [](std::size_t index) { usleep(index % 8); }));
    DataLoader loader(pool, Split::train, {.shuffle = true});
    const std::size_t victim = random() % 3;
    const std::uint64_t at_batch = random() % 90;
    try {
      for (;;) {
        loader.start_epoch(0);
        for (std::uint64_t position = 0; const auto batch = loader.next();) {
          for (const std::uint64_t index : checked_indices(*batch)) ASSERT_EQ(index, order(position++));
          if (batch->number() != at_batch) continue;
          usleep(static_cast<useconds_t>(random() % 300));
          for (std::size_t worker = 0; worker < 3; ++worker) {
            if (signal == SIGSTOP || worker == victim) kill(workers_of(pool)[worker].pid, signal);
          }
        }
      }
    } catch (const RunError& e) {
      EXPECT_THAT(e.what(), AnyOf(HasSubstr("worker " + std::to_string(victim + 1)), HasSubstr("is stopped")));
    }
  }
}

// A second thread keeps killing and stopping workers; the order delivered must still be the serial one.
// TRAINYARD_KILLS=1000 makes the test longer.
TEST(WorkerPool, KillLoop) {
  const char* const asked = std::getenv("TRAINYARD_KILLS");
  const int kills = asked != nullptr ? std::atoi(asked) : 30;
  std::string directory = "/dev/shm/trainyard-test-XXXXXX";
  ASSERT_NE(mkdtemp(directory.data()), nullptr);
  std::set<pid_t> pids;
  std::uint64_t epochs = 0;
  FaultCounts faults;
  {
    WorkerPool pool({.workers = 3,
                     .batch_size = 10,
                     .timeout_seconds = 0.5,
                     .on_worker_error = OnWorkerError::retry,
                     .seed = 4,
                     .directory = directory},
                    checkable(500, 0, [](std::size_t index) { usleep(index % 8 * 20); }));
    std::atomic<bool> over = false;
    std::atomic<std::uint64_t> delivered = 0;  // batches
    workers_of(pool);
    std::thread killer([&] {
      std::mt19937 random(std::random_device{}());
      std::array<std::uint64_t, 2> allowed_from{};  // in delivered batches
      for (int i = 0; i < kills && !over; ++i) {
        // At most two kills while a batch is in flight: three might hit one sample, which would rightly end the run.
        while (delivered < allowed_from[i % 2] && !over) usleep(100);
        usleep(static_cast<useconds_t>(random() % 3'000));
        const pid_t pid = pool.arena().worker(static_cast<std::uint32_t>(random() % 3)).pid;
        pids.insert(pid);
        if (i % 32 != 0) {
          kill(pid, i % 2 == 0 ? SIGSEGV : SIGKILL);
        } else {
          kill(pid, SIGSTOP);
          usleep(1'300'000);  // usually long enough to be detected
        }
        allowed_from[i % 2] = delivered + pool.options().prefetch + 2;
      }
      over = true;
    });
    DataLoader loader(pool, Split::train, {.shuffle = true});
    try {
      for (; !over; ++epochs) {
        const SampleOrder order(4, epochs, 500, true);
        loader.start_epoch(epochs);
        std::uint64_t position = 0;
        while (const auto batch = loader.next()) {
          for (const std::uint64_t index : checked_indices(*batch)) EXPECT_EQ(index, order(position++));
          ++delivered;
        }
        EXPECT_EQ(position, 500u);
      }
    } catch (const RunError& e) {
      ADD_FAILURE() << e.what();
      over = true;
    }
    killer.join();
    faults = pool.faults();
  }
  EXPECT_GT(faults.deaths, 0u);
  for (const pid_t pid : pids) EXPECT_FALSE(exists(pid)) << pid;
  EXPECT_EQ(rmdir(directory.c_str()), 0) << "something is left in it";
  std::printf("%d signals, %lu deaths, %lu hangs, %lu samples tried again, %lu epochs\n", kills, faults.deaths,
              faults.hangs, faults.retries, epochs);
}

TEST(WorkerPool, PublishesAtMostPrefetchBatchesAhead) {
  WorkerPool pool({.workers = 0, .batch_size = 4, .prefetch = 3}, checkable(100));
  int published = 0;
  for (; pool.can_publish() && published < 100; ++published) pool.publish({.first = 0, .stride = 1, .count = 4});
  EXPECT_EQ(published, 3);
}

}  // namespace
}  // namespace trainyard
