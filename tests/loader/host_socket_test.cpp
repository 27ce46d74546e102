// The ranks of a host: processes of one run that share the datasets of local rank 0.
#include "loader/host_socket.h"

#include <algorithm>
#include <csignal>
#include <fstream>

#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "datasets/dataset_view.h"
#include "support/checkable_pool.h"
#include "support/error_of.h"
#include "util/error.h"
#include "util/random.h"
#include "util/secondary_error.h"

namespace trainyard {
namespace {

using testing::HasSubstr;

constexpr double patience = 600;  // seconds

void wait_until(const std::function<bool()>& holds) {
  for (int i = 0; i < patience * 1000 && !holds(); ++i) usleep(1000);
}

std::string socket_name(const LocalRanks& ranks) {
  return fmt::format("trainyard-{}-{:016x}", geteuid(), key_of(ranks.run));
}

// Connects as a rank does.
UniqueFd connection_to(const LocalRanks& ranks) {
  const std::string name = socket_name(ranks);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::copy(name.begin(), name.end(), address.sun_path + 1);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  UniqueFd result(check_call(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), "test", "socket", name));
  check_call(connect(result.get(), reinterpret_cast<const sockaddr*>(&address), size), "test", "connect", name);
  return result;
}

/// The pools of a run's ranks, each in its own process, forked from the test.
class Ranks : public testing::Test {
 protected:
  PoolOptions options(int rank, int count = 3) const {
    PoolOptions options{.workers = 2, .batch_size = 8};
    options.local_ranks = {.run = fmt::format("{} of {}", run_, test_), .rank = rank, .count = count};
    return options;
  }

  // Runs `body` in a child process, which exits with 0 if it returns without a failed expectation.
  template <typename Body>
  pid_t start(Body body) const {
    const pid_t pid = check_call(fork(), "test", "fork", "rank");
    if (pid > 0) return pid;
    try {
      body();
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what();
    }
    fflush(stdout);
    _exit(HasFailure() ? 1 : 0);
  }

  // Returns the status of waitpid.
  static int end_of(pid_t pid) {
    int status = -1;
    retry_on_eintr([&] { return waitpid(pid, &status, 0); });
    return status;
  }

  // Starts ranks 0 to count - 1, each with body(rank), and waits for them.
  template <typename Body>
  void run(int count, Body body) const {
    std::vector<pid_t> pids;
    for (int rank = 0; rank < count; ++rank) pids.push_back(start([&] { body(rank); }));
    for (const pid_t pid : pids) EXPECT_EQ(end_of(pid), 0);
  }

  // Waits until `count` processes have called this.
  static void meet(const SharedCounter& counter, int count) {
    counter.add_one();
    wait_until([&] { return counter.get() >= count; });
    ASSERT_GE(counter.get(), count);
  }

  // For the factory of local rank 0: waits until `count` other ranks have connected.
  void wait_for_ranks(int count) const {
    const std::string name = "@" + socket_name(options(0).local_ranks);
    wait_until([&] {
      std::ifstream sockets("/proc/net/unix");
      int found = 0;
      for (std::string line; std::getline(sockets, line);) found += line.ends_with(name) ? 1 : 0;
      return found == 1 + count;  // and the listening socket
    });
  }

 private:
  const char* run_ = testing::UnitTest::GetInstance()->current_test_info()->name();
  pid_t test_ = getpid();
};

TEST_F(Ranks, BuildDatasetsOnceAndReadThemAll) {
  const SharedCounter built;
  const SharedCounter ends;
  run(3, [&](int rank) {
    WorkerPool pool(options(rank), [&] {
      built.add_one();
      return checkable(100)();
    });
    EXPECT_EQ(pool.splits()[0].size, 100u);
    DataLoader loader(pool, Split::train, {.shuffle = true});
    EXPECT_EQ(error_of(loader, 3), std::nullopt);
    meet(ends, 3);
  });
  EXPECT_EQ(built.get(), 1);
}

TEST_F(Ranks, HaveTheirOwnNumbersOfWorkers) {
  const SharedCounter ends;
  run(2, [&](int rank) {
    PoolOptions own = options(rank, 2);
    own.workers = 1 + 2 * rank;
    WorkerPool pool(own, checkable(100));
    EXPECT_EQ(pool.status().size(), static_cast<std::size_t>(own.workers));
    DataLoader loader(pool, Split::train);
    EXPECT_EQ(error_of(loader), std::nullopt);
    meet(ends, 2);
  });
}

TEST_F(Ranks, ReadACachedSampleOncePerHost) {
  const SharedCounter reads;
  const SharedCounter first_is_done;
  const SharedCounter ends;
  run(3, [&](int rank) {
    PoolOptions own = options(rank);
    own.cache = SampleCache::shm;
    WorkerPool pool(own, checkable(100, 0, [=](std::size_t) { reads.add_one(); }));
    DataLoader loader(pool, Split::train, {.shuffle = true});
    if (rank == 1) {
      EXPECT_EQ(error_of(loader), std::nullopt);
      first_is_done.add_one();
    }
    wait_until([&] { return first_is_done.get() > 0; });
    EXPECT_EQ(error_of(loader, 2), std::nullopt);
    meet(ends, 3);
  });
  EXPECT_EQ(reads.get(), 100);
}

TEST_F(Ranks, KeepTheCoresThatTheyMayUse) {
  cpu_set_t all;
  ASSERT_EQ(sched_getaffinity(0, sizeof all, &all), 0);
  if (CPU_COUNT(&all) < 2) GTEST_SKIP() << "needs two cores";
  const auto nth = [&](int n) {
    int core = 0;
    while (!CPU_ISSET(core, &all) || n-- > 0) ++core;
    return core;
  };
  const SharedCounter ends;
  run(2, [&](int rank) {
    cpu_set_t own;
    CPU_ZERO(&own);
    CPU_SET(nth(rank), &own);
    ASSERT_EQ(sched_setaffinity(0, sizeof own, &own), 0);
    const WorkerPool pool(options(rank, 2), checkable(100));
    cpu_set_t found;
    ASSERT_EQ(sched_getaffinity(pool.zygote_pid(), sizeof found, &found), 0);
    EXPECT_TRUE(CPU_EQUAL(&found, &own)) << rank;
    meet(ends, 2);
  });
}

TEST_F(Ranks, ThrowTheErrorOfLocalRank0) {
  run(3, [&](int rank) {
    EXPECT_EQ(error_of<UsageError>([&] {
                WorkerPool(options(rank), [&]() -> std::vector<LoadedSplit> {
                  wait_for_ranks(2);
                  throw UsageError("data.root", "there is no folder 'x'");
                });
              }),
              "[data.root] there is no folder 'x'")
        << rank;
  });
}

TEST_F(Ranks, FailIfLocalRank0IsKilledWhileItReads) {
  run(3, [&](int rank) {
    const auto open = [&] {
      WorkerPool(options(rank), [&]() -> std::vector<LoadedSplit> {
        wait_for_ranks(2);
        raise(SIGKILL);
        return {};
      });
    };
    if (rank == 0) {
      EXPECT_THAT(error_of<RunError>(open), HasSubstr("was killed by signal 9"));
      return;
    }
    EXPECT_THAT(error_of<SecondaryError>(open), HasSubstr("local rank 0, which reads the data for all ranks"));
  });
}

TEST_F(Ranks, FailIfThereIsNoLocalRank0) {
  PoolOptions own = options(1);
  own.local_ranks.timeout_seconds = 0.1;
  EXPECT_THAT(error_of<RunError>([&] { WorkerPool(own, checkable(100)); }),
              HasSubstr("local rank 0 of this host, which reads the data for all of its 3 ranks, has not started"));
}

TEST_F(Ranks, RefuseASecondLocalRank0) {
  const WorkerPool pool(options(0), checkable(100));
  EXPECT_THAT(error_of<RunError>([&] { WorkerPool(options(0), checkable(100)); }),
              testing::AllOf(HasSubstr("Address already in use"), HasSubstr("has the same local rank")));
}

TEST_F(Ranks, SurviveRequestsThatAreNone) {
  const WorkerPool first(options(0, 2), checkable(100));
  connection_to(options(1, 2).local_ranks);
  const UniqueFd stranger = connection_to(options(1, 2).local_ranks);
  ASSERT_EQ(send(stranger.get(), "hello", 5, 0), 5);
  WorkerPool second(options(1, 2), checkable(100));
  DataLoader loader(second, Split::train);
  EXPECT_EQ(error_of(loader), std::nullopt);
}

TEST_F(Ranks, ReadOnWhenLocalRank0IsGone) {
  const SharedCounter begun;
  const SharedCounter ended;
  const pid_t first = start([&] {
    const WorkerPool pool(options(0, 3), checkable(400));
    meet(begun, 3);
    pause();
  });
  const auto reads_on = [&](int rank) {
    return start([&, rank] {
      PoolOptions own = options(rank, 3);
      own.on_worker_error = OnWorkerError::retry;
      WorkerPool pool(own, checkable(400));
      DataLoader loader(pool, Split::train, {.shuffle = true});
      EXPECT_TRUE(loader.next().has_value());
      meet(begun, 3);
      wait_until([&] { return ended.get() > 0; });
      kill(pool.status()[0].pid, SIGKILL);  // a lost worker is replaced as well
      EXPECT_EQ(error_of(loader, 2), std::nullopt);
    });
  };
  const pid_t second = reads_on(1);
  const pid_t third = reads_on(2);
  wait_until([&] { return begun.get() >= 3; });
  kill(first, SIGKILL);
  end_of(first);
  ended.add_one();
  EXPECT_EQ(end_of(second), 0);
  EXPECT_EQ(end_of(third), 0);
}

TEST_F(Ranks, LeaveNoProcessBehindEvenIfItIsStopped) {
  const SharedCounter zygote;
  const SharedCounter worker;
  const WorkerPool first(options(0, 2), checkable(100));
  const pid_t rank = start([&] {
    const WorkerPool pool(options(1, 2), checkable(100));
    wait_until([&] { return pool.status()[0].pid != 0; });
    worker.add(pool.status()[0].pid);
    zygote.add(pool.zygote_pid());
    kill(pool.zygote_pid(), SIGSTOP);
    raise(SIGKILL);
  });
  EXPECT_TRUE(WIFSIGNALED(end_of(rank)));
  ASSERT_GT(zygote.get(), 0);
  wait_until([&] { return !exists(zygote.get()) && !exists(worker.get()); });
  EXPECT_FALSE(exists(zygote.get()));
  EXPECT_FALSE(exists(worker.get()));
}

/// Samples in the memory of the process that has built the dataset.
class InMemory final : public DatasetView {
 public:
  InMemory(std::unique_ptr<Dataset> dataset, std::size_t bytes)
      : DatasetView(std::move(dataset)), bytes_(bytes, std::byte{1}) {}

  // An epoch touches all of the memory.
  void read(std::size_t index, RandomStream random, Sample& sample) const override {
    const std::size_t share = bytes_.size() / size();
    for (std::size_t i = index * share; i < (index + 1) * share; i += 4096) {
      if (bytes_[i] != std::byte{1}) throw RunError("test", "byte {} is wrong", i);
    }
    source().read(index, random, sample);
  }

 private:
  std::vector<std::byte> bytes_;
};

// Proportional set size: shared pages are divided by the number of processes that map them.
std::size_t pss_kib(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/smaps_rollup", pid));
  for (std::string word; file >> word;) {
    if (word != "Pss:") continue;
    std::size_t kib = 0;
    file >> kib;
    return kib;
  }
  throw RunError("test", "/proc/{}/smaps_rollup has no Pss", pid);
}

class MemoryOfRanks : public Ranks {
 protected:
  static constexpr std::size_t data_bytes = std::size_t{64} << 20;

  void SetUp() override {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "a sanitizer keeps several bytes for each that is touched, in every process";
#endif
    Ranks::SetUp();
  }

  static std::size_t pss_of(const WorkerPool& pool) {
    std::size_t kib = pss_kib(getpid()) + pss_kib(pool.zygote_pid());
    for (const WorkerStatus& worker : pool.status()) kib += pss_kib(worker.pid);
    return kib;
  }

  // Returns the sum over all processes of `count` ranks, each with a worker that has read everything.
  std::size_t pss_of(int count, SampleCache cache, const DatasetFactory& factory) const {
    const SharedCounter total;
    const SharedCounter read;
    const SharedCounter measured;
    run(count, [&](int rank) {
      PoolOptions own = options(rank, count);
      own.workers = 1;
      own.cache = cache;
      WorkerPool pool(own, factory);
      DataLoader loader(pool, Split::train);
      EXPECT_EQ(error_of(loader, 2), std::nullopt);
      meet(read, count);
      total.add(static_cast<int>(pss_of(pool) >> 10));
      meet(measured, count);
    });
    return static_cast<std::size_t>(total.get());
  }
};

TEST_F(MemoryOfRanks, IsThatOfOneForADatasetInMemory) {
  const DatasetFactory factory = [] {
    std::vector<LoadedSplit> splits = checkable(100)();
    splits[0].dataset = std::make_unique<InMemory>(std::move(splits[0].dataset), data_bytes);
    return splits;
  };
  const std::size_t one = pss_of(1, SampleCache::none, factory);
  EXPECT_GE(one, data_bytes >> 20);
  EXPECT_LE(static_cast<double>(pss_of(4, SampleCache::none, factory)), 1.3 * static_cast<double>(one));
}

TEST_F(MemoryOfRanks, IsThatOfOneForACache) {
  const DatasetFactory factory = [] {
    std::vector<LoadedSplit> splits(1);
    splits[0].dataset = std::make_unique<CheckableDataset>(1024, nullptr, data_bytes / 1024, /*varying=*/false);
    return splits;
  };
  const std::size_t one = pss_of(1, SampleCache::shm, factory);
  EXPECT_GE(one, data_bytes >> 20);
  EXPECT_LE(static_cast<double>(pss_of(4, SampleCache::shm, factory)), 1.3 * static_cast<double>(one));
}

}  // namespace
}  // namespace trainyard
