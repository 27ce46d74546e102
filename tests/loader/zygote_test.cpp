#include "loader/zygote.h"

#include <array>
#include <csignal>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "datasets/dataset_view.h"
#include "support/checkable_pool.h"
#include "support/refuse_calls.h"
#include "support/subprocess.h"
#include "support/tmpfs.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

// A dataset with other class names.
class RenamedClasses final : public DatasetView {
 public:
  RenamedClasses(std::unique_ptr<Dataset> dataset, std::vector<std::string> names)
      : DatasetView(std::move(dataset)), names_(std::move(names)) {}

  void read(std::size_t index, RandomStream random, Sample& sample) const override {
    source().read(index, random, sample);
  }
  const std::vector<std::string>& class_names() const override { return names_; }

 private:
  std::vector<std::string> names_;
};

// Returns how the start of a pool ends in a child process that calls `spoil` first.
template <typename Spoil>
Outcome start_after(Spoil spoil, PoolOptions options = {.workers = 2, .batch_size = 8}) {
  int ends[2];
  check_call(pipe2(ends, O_CLOEXEC), "test", "pipe2", "outcome");
  const UniqueFd reading(ends[0]);
  UniqueFd writing(ends[1]);
  const pid_t pid = check_call(fork(), "test", "fork", "process");
  if (pid == 0) {
    std::string said = "done";
    int code = 0;
    try {
      spoil();
      WorkerPool pool(options, checkable(100));
      DataLoader loader(pool, Split::train, {.shuffle = true});
      while (loader.next()) continue;
    } catch (const Error& error) {
      said = error.what();
      code = static_cast<int>(error.code());
    }
    write_all(writing.get(), std::as_bytes(std::span(said)), "test", "outcome");
    _exit(code);
  }
  writing.reset();
  Outcome outcome{};
  std::array<char, 4096> part;
  for (ssize_t count = 0; (count = read(reading.get(), part.data(), part.size())) > 0;) {
    outcome.output.append(part.data(), static_cast<std::size_t>(count));
  }
  int status = 0;
  waitpid(pid, &status, 0);
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome;
}

TEST(ZygoteStart, WorksWithTheStandardStreamsClosed) {
  for (const int last : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    const Outcome outcome = start_after([=] {
      for (int fd = 0; fd <= last; ++fd) close(fd);
    });
    EXPECT_EQ(outcome.exit_code, 0) << last << ": " << outcome.output;
  }
}

TEST(ZygoteStart, WorksWithoutMemfds) {
  const Outcome outcome = start_after([] { refuse_calls({SYS_memfd_create}, ENOSYS); });
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
}

TEST(ZygoteStart, NamesTheCallThatTheSystemRefuses) {
  const Outcome fork_refused = start_after([] { refuse_calls({SYS_clone, SYS_clone3, SYS_fork}, EAGAIN); });
  EXPECT_EQ(fork_refused.exit_code, 1);
  EXPECT_THAT(fork_refused.output,
              AllOf(HasSubstr("fork (zygote): Resource temporarily unavailable"), HasSubstr("ulimit -u")));
  const Outcome eventfd_refused = start_after([] { refuse_calls({SYS_eventfd2}, ENOSYS); });
  EXPECT_THAT(eventfd_refused.output, HasSubstr("eventfd (batches): Function not implemented"));
  const Outcome signalfd_refused = start_after([] { refuse_calls({SYS_signalfd4}, ENOSYS); });
  EXPECT_EQ(signalfd_refused.exit_code, 1);
  EXPECT_THAT(signalfd_refused.output, HasSubstr("signalfd (SIGCHLD): Function not implemented"));
}

TEST(ZygoteStart, NamesAWorkerThatCannotBeForked) {
  const Outcome outcome = [] {
    try {
      WorkerPool pool({.workers = 2, .batch_size = 8}, [] {
        refuse_calls({SYS_clone, SYS_clone3, SYS_fork}, EPERM);
        return checkable(100)();
      });
      DataLoader loader(pool, Split::train);
      return Outcome{0, error_of(loader).value_or("no error")};
    } catch (const Error& error) {
      return Outcome{static_cast<int>(error.code()), error.what()};
    }
  }();
  EXPECT_THAT(outcome.output, AllOf(HasSubstr("fork (worker 1): Operation not permitted"), HasSubstr("ulimit -u")));
}

TEST(ZygoteStart, SendsClassNamesOfManyMegabytes) {
  WorkerPool pool({.workers = 1, .batch_size = 2}, [] {
    std::vector<LoadedSplit> splits = checkable(10)();
    std::vector<std::string> names(5);
    for (std::size_t i = 0; i < names.size(); ++i) names[i] = std::string(3'000'001, static_cast<char>('a' + i));
    splits[0].dataset = std::make_unique<RenamedClasses>(std::move(splits[0].dataset), names);
    return splits;
  });
  EXPECT_EQ(pool.splits()[0].class_names[4], std::string(3'000'001, 'e'));
}

PoolOptions small_pool_in(const std::string& directory) {
  return {.workers = 2, .batch_size = 8, .directory = directory};
}

TEST(ZygoteStart, SaysThatThereIsNoSharedMemory) {
  const TempDir dir;
  const Outcome outcome = start_after([] {}, small_pool_in(dir / "shm"));
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_THAT(outcome.output, AllOf(HasSubstr("there is no shared memory at"), HasSubstr("loader.workers = 0"),
                                    HasSubstr("(shared-memory-missing)"), Not(HasSubstr("ulimit -n"))));
}

TEST(ZygoteStart, SaysThatSharedMemoryIsReadOnly) {
  const Tmpfs tmpfs(1024);
  if (!tmpfs.mounted()) GTEST_SKIP() << "mounting a tmpfs needs root";
  ASSERT_EQ(mount("none", tmpfs.path().c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, "size=1024k"), 0);
  const Outcome outcome = start_after([] {}, small_pool_in(tmpfs.path()));
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_THAT(outcome.output, AllOf(HasSubstr("Read-only file system"), HasSubstr("(shared-memory-unwritable)")));
}

TEST(ZygoteStart, SaysThatSharedMemoryHoldsNoMoreFiles) {
  const Tmpfs tmpfs(1024);
  if (!tmpfs.mounted()) GTEST_SKIP() << "mounting a tmpfs needs root";
  ASSERT_EQ(mount("none", tmpfs.path().c_str(), "tmpfs", MS_REMOUNT, "size=1024k,nr_inodes=1"), 0);
  const Outcome outcome = start_after([] {}, small_pool_in(tmpfs.path()));
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_THAT(outcome.output, AllOf(HasSubstr("takes no more files"), HasSubstr("df -i")));
}

TEST(ZygoteStart, SaysThatTheLimitOfAFilesSizeIsLow) {
  const Outcome outcome = start_after([] {
    const rlimit limit{4096, 4096};
    setrlimit(RLIMIT_FSIZE, &limit);
    signal(SIGXFSZ, SIG_IGN);
  });
  EXPECT_NE(outcome.exit_code, 0);
  EXPECT_THAT(outcome.output, HasSubstr("ulimit -f"));
}

}  // namespace
}  // namespace trainyard
