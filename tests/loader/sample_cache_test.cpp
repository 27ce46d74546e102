#include "loader/sample_cache.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/checkable_pool.h"
#include "support/error_of.h"
#include "support/image_files.h"
#include "support/temp_dir.h"
#include "util/error.h"

namespace trainyard {
namespace {

PoolOptions with_cache(int workers) {
  return {.workers = workers, .batch_size = 8, .on_worker_error = OnWorkerError::retry, .cache = SampleCache::shm};
}

class SampleCacheWith : public testing::TestWithParam<int> {};

TEST_P(SampleCacheWith, EverySampleIsReadOnceAndDeliveredUnchangedInEveryEpoch) {
  const SharedCounter reads;
  WorkerPool pool(with_cache(GetParam()), checkable(100, 0, [=](std::size_t) { reads.add_one(); }));
  DataLoader loader(pool, Split::train, {.shuffle = true});
  EXPECT_EQ(error_of(loader, 4), std::nullopt);  // checks every byte and label
  EXPECT_EQ(reads.get(), 100);
}

TEST_P(SampleCacheWith, ASampleThatFailedOnceIsNotRemembered) {
  const SharedCounter failures;
  WorkerPool pool(with_cache(GetParam()), checkable(100, 0, [=](std::size_t index) {
                    if (index == 43 && failures.add_one() == 0) throw RunError("datasets", "not now");
                  }));
  DataLoader loader(pool, Split::train, {.shuffle = true});
  EXPECT_EQ(error_of(loader, 2), std::nullopt);
}

INSTANTIATE_TEST_SUITE_P(Workers, SampleCacheWith, testing::Values(0, 1, 3),
                         [](const auto& with) { return std::to_string(with.param); });

/// Named caches, in a folder instead of /dev/shm.
class NamedCacheWith : public testing::TestWithParam<int> {
 protected:
  PoolOptions options() const {
    PoolOptions options = with_cache(GetParam());
    options.cache_name = "shared";
    options.directory = directory_.path();
    return options;
  }
  // Reads two epochs of `size` samples, checks every byte, and returns how many samples were read from the dataset.
  int reads_of(std::size_t size) const {
    const SharedCounter reads;
    WorkerPool pool(options(), checkable(size, 0, [=](std::size_t) { reads.add_one(); }));
    DataLoader loader(pool, Split::train, {.shuffle = true});
    EXPECT_EQ(error_of(loader, 2), std::nullopt);
    return reads.get();
  }

  TempDir directory_;
  std::string file_ = directory_ / "trainyard-cache-shared-train";
};

TEST_P(NamedCacheWith, ALaterRunFindsWhatAnEarlierOneHasRead) {
  EXPECT_EQ(reads_of(100), 100);
  EXPECT_EQ(reads_of(100), 0);
  struct stat status{};
  ASSERT_EQ(stat(file_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_P(NamedCacheWith, RunsAtTheSameTimeShareIt) {
  const auto read_in_a_process = [&] {
    const pid_t pid = fork();
    if (pid == 0) _exit(reads_of(100) <= 100 && !HasFailure() ? 0 : 1);
    return pid;
  };
  std::vector<pid_t> pids;
  for (int i = 0; i < 3; ++i) pids.push_back(read_in_a_process());
  for (const pid_t pid : pids) {
    int status = -1;
    waitpid(pid, &status, 0);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(reads_of(100), 0);
}

TEST_P(NamedCacheWith, OtherDataUnderTheSameNameIsRefusedAndLosesNothing) {
  reads_of(100);
  EXPECT_THAT(error_of<UsageError>([&] { reads_of(101); }),
              testing::AllOf(testing::HasSubstr("holds 100 samples of other data"), testing::HasSubstr(file_)));
  EXPECT_EQ(reads_of(100), 0);
}

TEST_P(NamedCacheWith, AFileThatItsMakerCouldNotFinishIsMadeAnew) {
  reads_of(100);
  std::filesystem::resize_file(file_, 5);
  EXPECT_EQ(reads_of(100), 100);
  std::filesystem::resize_file(file_, 1000);  // the header says that the file is complete
  EXPECT_EQ(reads_of(100), 100);
  EXPECT_EQ(reads_of(100), 0);
}

TEST_P(NamedCacheWith, ALinkIsNotFollowed) {
  const std::string elsewhere = directory_.write("elsewhere", "something dear");
  std::filesystem::create_symlink(elsewhere, file_);
  EXPECT_THAT(error_of<RunError>([&] { reads_of(100); }), testing::HasSubstr(file_));
  EXPECT_EQ(read_text_file(elsewhere, "test"), "something dear");
}

TEST_P(NamedCacheWith, WithoutRoomNothingIsLeftBehind) {
  const std::string name = fmt::format("trainyard-test-{}", getpid());
  const auto no_room = [&] {
    cached_in_shared_memory(std::make_unique<CheckableDataset>(std::size_t{1} << 40, nullptr), {"/dev/shm", name});
  };
  EXPECT_THROW(no_room(), MachineError);
  EXPECT_FALSE(std::filesystem::exists("/dev/shm/" + name));
}

TEST_P(NamedCacheWith, ANameThatIsNoneIsRefused) {
  const auto refused = [&](SampleCache cache, const std::string& name) {
    PoolOptions wrong = options();
    wrong.cache = cache;
    wrong.cache_name = name;
    return error_of<UsageError>([&] { WorkerPool(wrong, checkable(10)); });
  };
  EXPECT_THAT(refused(SampleCache::shm, "../x"), testing::HasSubstr("'../x' is not a name"));
  EXPECT_THAT(refused(SampleCache::none, "x"), testing::HasSubstr("only loader.cache = shm has a name"));
}

INSTANTIATE_TEST_SUITE_P(Workers, NamedCacheWith, testing::Values(0, 2),
                         [](const auto& with) { return std::to_string(with.param); });

TEST(SampleCache, SurvivesWorkersThatDie) {
  const SharedCounter reads;
  WorkerPool pool(with_cache(3), checkable(200, 0, [=](std::size_t) {
                    if (reads.add_one() % 50 == 49) raise(SIGKILL);
                  }));
  DataLoader loader(pool, Split::train, {.shuffle = true});
  EXPECT_EQ(error_of(loader, 4), std::nullopt);
  EXPECT_GT(pool.faults().deaths, 0u);
}

/// Images of several sizes and kinds on disk.
class CachedImages : public testing::TestWithParam<int> {
 protected:
  CachedImages() {
    setenv("XDG_CACHE_HOME", (dir_ / "cache").c_str(), 1);
    for (std::size_t i = 0; i < 20; ++i) {
      const Image image = ramp(30 + i, 60 - i, 3);
      dir_.write(fmt::format("train/{}/{:02}.{}", i % 2 == 0 ? "cat" : "dog", i, i % 5 == 0 ? "png" : "jpg"),
                 i % 5 == 0 ? png_file(image) : jpeg_file(image));
    }
  }
  ~CachedImages() override { unsetenv("XDG_CACHE_HOME"); }

  DatasetFactory photos(DecodeMode decode = DecodeMode::exact) const {
    return [=, root = dir_.path()] {
      std::vector<LoadedSplit> splits(1);
      splits[0].dataset = make_dataset(DataConfig{.name = "image_folder", .root = root}, Split::train);
      splits[0].transforms = TransformPipeline({"random_resized_crop(size=24)", "random_horizontal_flip"},
                                               splits[0].dataset->fields(), decode);
      return splits;
    };
  }

  // Returns the pixels of an epoch's batches.
  static std::vector<std::string> epoch_of(DataLoader& loader, std::uint64_t epoch) {
    std::vector<std::string> batches;
    loader.start_epoch(epoch);
    while (const auto batch = loader.next()) {
      const std::span<const std::byte> elements = batch->field("image").elements;
      batches.emplace_back(reinterpret_cast<const char*>(elements.data()), elements.size());
    }
    return batches;
  }

  TempDir dir_;
};

TEST_P(CachedImages, AreDecodedOnceAndGiveWhatTheyGiveWithoutACache) {
  std::vector<std::vector<std::string>> expected;
  {
    WorkerPool pool({.workers = GetParam(), .batch_size = 8}, photos());
    DataLoader loader(pool, Split::train, {.shuffle = true});
    for (std::uint64_t epoch = 0; epoch < 3; ++epoch) expected.push_back(epoch_of(loader, epoch));
  }
  WorkerPool pool(with_cache(GetParam()), photos());
  DataLoader loader(pool, Split::train, {.shuffle = true});
  EXPECT_EQ(epoch_of(loader, 0), expected[0]);
  std::filesystem::remove_all(dir_ / "train");
  EXPECT_EQ(epoch_of(loader, 1), expected[1]);
  EXPECT_EQ(epoch_of(loader, 2), expected[2]);
}

TEST_P(CachedImages, ADamagedOneIsTheSameErrorAsWithoutACache) {
  dir_.write("train/cat/04.jpg", "broken");
  const std::string torn = jpeg_file(ramp(300, 400, 3));
  dir_.write("train/dog/07.jpg", torn.substr(0, torn.size() / 2));
  const auto error = [&](SampleCache cache) {
    WorkerPool pool({.workers = GetParam(), .batch_size = 8, .cache = cache}, photos());
    DataLoader loader(pool, Split::train);
    return error_of<RunError>([&] { epoch_of(loader, 0); });
  };
  EXPECT_THAT(error(SampleCache::shm), testing::HasSubstr("04.jpg"));
  EXPECT_EQ(error(SampleCache::shm), error(SampleCache::none));
}

TEST_P(CachedImages, OnesThatAreChangedMeanwhileAreReadFromTheDisk) {
  WorkerPool pool(with_cache(GetParam()), photos());
  dir_.write("train/cat/02.jpg", jpeg_file(ramp(90, 90, 3)));
  WorkerPool fresh({.workers = GetParam(), .batch_size = 8}, photos());
  DataLoader loader(pool, Split::train);
  DataLoader expected(fresh, Split::train);
  EXPECT_EQ(epoch_of(loader, 0), epoch_of(expected, 0));
}

TEST_P(CachedImages, AreNotDecodedAtAFractionNorOnTheGpu) {
  for (const DecodeMode decode : {DecodeMode::scaled, DecodeMode::gpu}) {
    EXPECT_THAT(error_of<UsageError>([&] { WorkerPool(with_cache(GetParam()), photos(decode)); }),
                testing::HasSubstr("transform.decode = exact"));
  }
}

INSTANTIATE_TEST_SUITE_P(Workers, CachedImages, testing::Values(0, 3),
                         [](const auto& with) { return std::to_string(with.param); });

TEST(SampleCache, ImagesThatDoNotFitAreCounted) {
  const TempDir dir;
  setenv("XDG_CACHE_HOME", (dir / "cache").c_str(), 1);
  dir.write("train/cat/a.png", png_file(ramp(100, 100, 3)));
  // A file system without free space.
  const auto no_room = [&] {
    cached_in_shared_memory(make_dataset(DataConfig{.name = "image_folder", .root = dir.path()}, Split::train),
                            {"/proc", ""});
  };
  EXPECT_THAT(error_of<MachineError>(no_room),
              testing::HasSubstr("/proc has 0 bytes free, loader.cache = shm needs 30008 for 1 sample;"));
  unsetenv("XDG_CACHE_HOME");
}

TEST(SampleCache, TooLittleRoomIsAnErrorBeforeAnythingIsRead) {
  try {
    cached_in_shared_memory(std::make_unique<CheckableDataset>(std::size_t{1} << 40, nullptr), {"/dev/shm", ""});
    FAIL();
  } catch (const MachineError& e) {
    EXPECT_THAT(e.what(), testing::AllOf(testing::HasSubstr("loader.cache = shm needs 103354093010976 for"),
                                         testing::HasSubstr("--ipc=host")));
  }
}

}  // namespace
}  // namespace trainyard
