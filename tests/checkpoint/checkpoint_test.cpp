#include "checkpoint/checkpoint.h"

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstring>
#include <thread>

#include <gmock/gmock.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ATen/ops/full_like.h>

#include "checkpoint/manifest_example.h"
#include "checkpoint/test_folder.h"
#include "support/refuse_calls.h"
#include "util/torch.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

// Returns a checkpoint whose tensors all hold its step.
Checkpoint example(std::int64_t step, std::int64_t elements = 100) {
  Checkpoint checkpoint;
  checkpoint.manifest = valid_manifest(step);
  checkpoint.model = {{"fc.weight", at::full({elements}, step, at::kFloat)}, {"steps", at::full({}, step, at::kLong)}};
  checkpoint.state = {{"momentum.fc.weight", at::full({elements}, -step, at::kFloat)}};
  return checkpoint;
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

void expect_holds(const Checkpoint& checkpoint, std::int64_t step) {
  EXPECT_EQ(checkpoint.manifest.step, step);
  ASSERT_EQ(checkpoint.model.size(), 2u);
  EXPECT_TRUE(at::equal(checkpoint.model[0].second, at::full_like(checkpoint.model[0].second, step)));
  EXPECT_TRUE(at::equal(checkpoint.state[0].second, at::full_like(checkpoint.state[0].second, -step)));
}

void flip_byte(const fs::path& path, std::size_t place) {
  std::string content = read_text(path);
  content[place] = static_cast<char>(content[place] ^ 1);
  write_text(path, content);
}

TEST(Checkpoint, ReadsBackWithAndWithoutAveragedWeights) {
  const TestFolder folder;
  const fs::path path = write_checkpoint(folder / "checkpoints", example(1170));
  EXPECT_EQ(path, folder / "checkpoints/step-00001170");
  EXPECT_THAT(names_in(path), ElementsAre("manifest.json", "model.safetensors", "state.safetensors"));
  Checkpoint read = read_checkpoint(path);
  expect_holds(read, 1170);
  EXPECT_TRUE(read.ema.empty());
  EXPECT_EQ(read.manifest.files.size(), 2u);
  EXPECT_FALSE(read.manifest.trainyard_version.empty());
  read.manifest.files.clear();
  read.manifest.trainyard_version.clear();
  EXPECT_EQ(read.manifest, example(1170).manifest);

  Checkpoint averaged = example(1180);
  averaged.ema = {{"fc.weight", at::full({3}, 7)}};
  read = read_checkpoint(write_checkpoint(folder / "checkpoints", averaged));
  ASSERT_EQ(read.ema.size(), 1u);
  EXPECT_TRUE(at::equal(read.ema[0].second, averaged.ema[0].second));
}

TEST(Checkpoint, ReplacesOneOfTheSameStepAndLeavesNoTemporary) {
  const TestFolder folder;
  write_checkpoint(folder.path(), example(5, 100));
  const fs::path path = write_checkpoint(folder.path(), example(5, 200));
  EXPECT_EQ(read_checkpoint(path).model[0].second.numel(), 200);
  EXPECT_THAT(names_in(folder.path()), ElementsAre("step-00000005"));
}

TEST(Checkpoint, ATemporaryOfADeadProcessOfTheSameNumberIsNoHindrance) {
  const TestFolder folder;
  const std::string left = fmt::format(".tmp-step-00000005-{}", getpid());
  fs::create_directory(folder / left);
  write_text(folder / (left + "/model.safetensors"), "half");
  expect_holds(read_checkpoint(write_checkpoint(folder.path(), example(5))), 5);
  EXPECT_THAT(names_in(folder.path()), ElementsAre("step-00000005"));
}

TEST(Checkpoint, DamageIsNamedWithFileAndMismatch) {
  const TestFolder folder;
  const auto damaged = [&](const std::function<void(const fs::path&)>& damage) {
    const fs::path path = write_checkpoint(folder.path(), example(5));
    damage(path);
    return message_of<RunError>([&] { read_checkpoint(path); });
  };
  const auto truncate = [](const fs::path& path) { fs::resize_file(path, fs::file_size(path) - 1); };
  EXPECT_THAT(damaged([&](const fs::path& p) { truncate(p / "model.safetensors"); }),
              AllOf(HasSubstr("model.safetensors"), HasSubstr("bytes, the manifest says")));
  EXPECT_THAT(damaged([](const fs::path& p) { flip_byte(p / "state.safetensors", 300); }),
              AllOf(HasSubstr("state.safetensors"), HasSubstr("CRC-32")));
  EXPECT_THAT(damaged([](const fs::path& p) { fs::remove(p / "state.safetensors"); }),
              AllOf(HasSubstr("state.safetensors"), HasSubstr("No such file")));
  EXPECT_THAT(damaged([](const fs::path& p) { fs::remove(p / "manifest.json"); }), HasSubstr("manifest.json"));
  EXPECT_THAT(damaged([&](const fs::path& p) { truncate(p / "manifest.json"), truncate(p / "manifest.json"); }),
              HasSubstr("manifest.json"));
}

TEST(Checkpoint, NewestValidPassesOverTornOnesAndNamesEach) {
  const TestFolder folder;
  for (const std::int64_t step : {8, 9, 10, 100'000'000, 11, 12}) write_checkpoint(folder.path(), example(step));
  fs::resize_file(folder / "step-100000000/model.safetensors", 10);
  flip_byte(folder / "step-00000012/state.safetensors", 250);
  fs::remove(folder / "step-00000011/manifest.json");
  fs::create_directory(folder / ".tmp-step-00000013-1");
  fs::create_directory(folder / "step-99");
  std::vector<std::string> torn;
  const auto newest = newest_valid(folder.path(), [&](const std::string& line) { torn.push_back(line); });
  EXPECT_EQ(newest, folder / "step-00000010");
  EXPECT_THAT(torn, ElementsAre(AllOf(HasSubstr("step-100000000"), HasSubstr("bytes")),
                                AllOf(HasSubstr("step-00000012"), HasSubstr("state.safetensors")),
                                AllOf(HasSubstr("step-00000011"), HasSubstr("manifest.json"))));
  EXPECT_EQ(newest_valid(folder / "none", [](const std::string&) {}), std::nullopt);
}

TEST(Checkpoint, NewestValidDoesNotPassOverOneThatMayBeWhole) {
  const TestFolder folder;
  for (const std::int64_t step : {1, 2}) write_checkpoint(folder.path(), example(step));
  std::thread([&] {
    refuse_calls({SYS_mmap}, ENOMEM);
    EXPECT_THAT(message_of<RunError>([&] { newest_valid(folder.path(), [](const std::string&) {}); }),
                AllOf(HasSubstr("step-00000002/manifest.json"), HasSubstr(std::strerror(ENOMEM))));
  }).join();
}

TEST(Checkpoint, PruneKeepsTheNewestLastAndBestAndClearsTemporaries) {
  const TestFolder folder;
  for (std::int64_t step = 1; step <= 6; ++step) write_checkpoint(folder.path(), example(step));
  point_link(folder.path(), "best", folder / "step-00000002");
  point_link(folder.path(), "last", folder / "step-00000003");
  fs::create_directory(folder / ".tmp-step-00000007-1");
  prune(folder.path(), 2);
  EXPECT_THAT(names_in(folder.path()),
              ElementsAre("best", "last", "step-00000002", "step-00000003", "step-00000005", "step-00000006"));
  prune(folder.path(), 9);
  EXPECT_EQ(step_folders(folder.path()).size(), 4u);
  prune(folder / "none", 1);
}

TEST(Checkpoint, LinksAreRelativeAndFollowTheirLastTarget) {
  const TestFolder folder;
  for (const std::int64_t step : {1, 2}) {
    point_link(folder.path(), "last", write_checkpoint(folder.path(), example(step)));
    EXPECT_EQ(read_manifest(folder / "last").step, step);
  }
  EXPECT_EQ(fs::read_symlink(folder / "last"), "step-00000002");
}

TEST(Checkpoint, ResolvesFoldersLinksAndRuns) {
  const TestFolder folder;
  const fs::path checkpoints = folder / "checkpoints";
  const fs::path best = fs::canonical(write_checkpoint(checkpoints, example(1)));
  const fs::path last = fs::canonical(write_checkpoint(checkpoints, example(2)));
  point_link(checkpoints, "best", best);
  point_link(checkpoints, "last", last);
  EXPECT_EQ(resolve_checkpoint(best), best);
  EXPECT_EQ(resolve_checkpoint(checkpoints / "best"), best);
  EXPECT_EQ(resolve_checkpoint(checkpoints / "last"), last);
  EXPECT_EQ(resolve_checkpoint(checkpoints), last);
  EXPECT_EQ(resolve_checkpoint(folder.path()), last);
}

TEST(Checkpoint, OfARunCopiedWithoutItsLinksIsTheNewest) {
  const TestFolder folder;
  const fs::path checkpoints = folder / "checkpoints";
  for (const std::int64_t step : {1, 2, 3}) write_checkpoint(checkpoints, example(step));
  fs::remove(checkpoints / "step-00000003/manifest.json");
  const fs::path newest = fs::canonical(checkpoints / "step-00000002");
  EXPECT_EQ(resolve_checkpoint(folder.path()), newest);
  fs::create_symlink("step-00000009", checkpoints / "last");
  EXPECT_EQ(resolve_checkpoint(checkpoints), newest);
}

TEST(Checkpoint, TextFilesNameStepsWhereThereAreNoLinks) {
  const TestFolder folder;
  const fs::path checkpoints = folder / "checkpoints";
  for (std::int64_t step = 1; step <= 5; ++step) write_checkpoint(checkpoints, example(step));
  const fs::path best = fs::canonical(checkpoints / "step-00000002");
  const fs::path last = fs::canonical(checkpoints / "step-00000005");
  write_text(checkpoints / "best", "step-00000002\n");
  write_text(checkpoints / "last", "step-00000005\r\n");
  EXPECT_EQ(resolve_checkpoint(checkpoints / "best"), best);
  EXPECT_EQ(resolve_checkpoint(checkpoints / "best/"), best);
  EXPECT_EQ(resolve_checkpoint(checkpoints), last);
  EXPECT_EQ(resolve_checkpoint(folder.path()), last);
  EXPECT_EQ(linked(checkpoints, "best"), checkpoints / "step-00000002");
  prune(checkpoints, 1);
  EXPECT_THAT(names_in(checkpoints), ElementsAre("best", "last", "step-00000002", "step-00000005"));
  write_text(checkpoints / "best", "../step-00000002\n");
  EXPECT_EQ(linked(checkpoints, "best"), std::nullopt);
  EXPECT_EQ(linked(checkpoints, "none"), std::nullopt);
  point_link(checkpoints, "best", best);
  EXPECT_EQ(fs::read_symlink(checkpoints / "best"), "step-00000002") << "a link again, now that there can be one";
}

TEST(Checkpoint, IsNotWrittenWhereItsRunsFolderIsGone) {
  const TestFolder folder;
  const std::string message = message_of<RunError>([&] { write_checkpoint(folder / "run/checkpoints", example(1)); });
  EXPECT_THAT(message, AllOf(HasSubstr("run/checkpoints"), HasSubstr(std::strerror(ENOENT))));
  EXPECT_TRUE(fs::is_empty(folder.path())) << "half a run must not come back";
}

TEST(Checkpoint, WhatIsNoCheckpointIsAUsageErrorThatListsWhatIsThere) {
  const TestFolder folder;
  const auto message = [](const fs::path& path) { return message_of<UsageError>([&] { resolve_checkpoint(path); }); };
  EXPECT_THAT(message(folder.path()), HasSubstr("there: nothing"));
  EXPECT_THAT(message(folder / "none"), HasSubstr("no such file or folder"));
  fs::create_directories(folder / "checkpoints/step-00000001");
  EXPECT_THAT(message(folder.path()), HasSubstr("there: step-00000001"));
}

TEST(Checkpoint, AFileInItsPlaceIsAUsageErrorThatNamesItsFolder) {
  const TestFolder folder;
  const auto message = [](const fs::path& path) { return message_of<UsageError>([&] { resolve_checkpoint(path); }); };
  std::ofstream(folder / "config.toml") << "[model]\n";
  EXPECT_THAT(message(folder / "config.toml"), HasSubstr("is a file; give a checkpoint's or a run's folder"));
  const fs::path step = write_checkpoint(folder / "checkpoints", example(1));
  EXPECT_THAT(message(step / "model.safetensors"),
              HasSubstr("model.safetensors is a file; give its folder, " + step.string()));
  EXPECT_THAT(message(folder / "config.toml"), HasSubstr("is a file; give its folder, " + folder.path().string()));
}

TEST(Checkpoint, ReadersSeeWholeCheckpointsInOrderWhileOneWrites) {
  const TestFolder folder;
  point_link(folder.path(), "last", write_checkpoint(folder.path(), example(0, 10'000)));
  std::atomic<bool> done = false;
  std::vector<std::thread> readers;
  for (int i = 0; i < 2; ++i) {
    readers.emplace_back([&] {
      for (std::int64_t step = 0; !done;) {
        const Checkpoint read = read_checkpoint(resolve_checkpoint(folder.path()));
        EXPECT_GE(read.manifest.step, step);
        step = read.manifest.step;
        expect_holds(read, step);
      }
    });
  }
  for (std::int64_t step = 1; step <= 30; ++step) {
    point_link(folder.path(), "last", write_checkpoint(folder.path(), example(step, 10'000)));
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
}

// Limits the size of files that this process writes, so that a write fails halfway.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : old_handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &old_limit_);
    const rlimit limit{bytes, old_limit_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &old_limit_);
    std::signal(SIGXFSZ, old_handler_);
  }

 private:
  rlimit old_limit_{};
  void (*old_handler_)(int);
};

TEST(Checkpoint, FailedWriteKeepsOldCheckpointsAndLeavesNoPartialOne) {
  const TestFolder folder;
  write_checkpoint(folder.path(), example(1));
  write_checkpoint(folder.path(), example(2));
  {
    const FileSizeLimit limit(20'000);
    for (const std::int64_t step : {2, 3}) {
      const std::string message = message_of<RunError>([&] { write_checkpoint(folder.path(), example(step, 10'000)); });
      EXPECT_THAT(message, AllOf(HasSubstr("model.safetensors"), HasSubstr(std::strerror(EFBIG))));
    }
  }
  EXPECT_THAT(names_in(folder.path()), ElementsAre("step-00000001", "step-00000002"));
  expect_holds(read_checkpoint(folder / "step-00000002"), 2);
}

// A small tmpfs mounted at `path`; `mounted()` is false if this process may not mount.
class SmallDisk {
 public:
  SmallDisk(fs::path path, const char* options)
      : path_(std::move(path)), mounted_(mount("none", path_.c_str(), "tmpfs", 0, options) == 0) {}
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  ~SmallDisk() {
    if (mounted_) umount2(path_.c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }

 private:
  fs::path path_;
  bool mounted_;
};

TEST(Checkpoint, ADiskTooSmallIsFoundBeforeTheWriteAndLeavesTheOldOneWhole) {
  const TestFolder folder;
  const SmallDisk disk(folder.path(), "size=1m");
  if (!disk.mounted()) GTEST_SKIP() << "this process may not mount a file system";
  write_checkpoint(folder.path(), example(1));
  const std::string message = message_of<RunError>([&] { write_checkpoint(folder.path(), example(2, 500'000)); });
  EXPECT_THAT(message,
              AllOf(HasSubstr("step 2 needs 40"), HasSubstr("bytes, the disk has"), HasSubstr("free; make room")));
  EXPECT_THAT(names_in(folder.path()), ElementsAre("step-00000001"));
  expect_holds(read_checkpoint(folder / "step-00000001"), 1);
}

TEST(Checkpoint, ADiskFullInTheMiddleLeavesTheOldOneWhole) {
  const TestFolder folder;
  const SmallDisk disk(folder.path(), "size=1m,nr_inodes=8");  // root, two folders, three files of one, two of the next
  if (!disk.mounted()) GTEST_SKIP() << "this process may not mount a file system";
  write_checkpoint(folder.path(), example(1));
  const std::string message = message_of<RunError>([&] { write_checkpoint(folder.path(), example(2)); });
  EXPECT_THAT(message, AllOf(HasSubstr("manifest.json"), HasSubstr(std::strerror(ENOSPC))));
  EXPECT_THAT(names_in(folder.path()), ElementsAre("step-00000001"));
  expect_holds(read_checkpoint(folder / "step-00000001"), 1);
}

}  // namespace
}  // namespace trainyard
