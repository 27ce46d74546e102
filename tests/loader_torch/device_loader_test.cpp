#include "loader_torch/device_loader.h"

#include <cstring>
#include <set>

#include <gmock/gmock.h>

#include <ATen/Context.h>

#include "support/checkable_pool.h"
#include "support/configured.h"
#include "support/error_of.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const PoolOptions pool_options{.workers = 0, .batch_size = 8, .cache = SampleCache::gpu, .seed = 5};

// 101 samples of train and 20 of val, of different sizes; both splits are randomly flipped in each epoch.
std::vector<LoadedSplit> images() {
  const DataConfig config = synthetic_data("9,11,3", 101);
  std::vector<LoadedSplit> splits(2);
  for (const Split split : {Split::train, Split::val}) {
    LoadedSplit& loaded = splits[static_cast<std::size_t>(split)];
    loaded.dataset = make_dataset(config, split == Split::train ? Split::train : Split::test);
    loaded.transforms =
        TransformPipeline({"resize(height=6, width=7)", "random_horizontal_flip(p=0.4)"}, loaded.dataset->fields());
  }
  return splits;
}

void expect_same_rest_of_epoch(DeviceLoader& one, DeviceLoader& other) {
  std::optional<DeviceBatch> expected;
  while ((expected = one.next())) {
    const std::optional<DeviceBatch> batch = other.next();
    ASSERT_TRUE(batch);
    EXPECT_EQ(batch->epoch, expected->epoch);
    EXPECT_EQ(batch->number, expected->number);
    EXPECT_EQ(batch->count, expected->count);
    const std::vector<std::uint64_t> indices = one.sample_indices(*expected);
    EXPECT_EQ(indices.size(), static_cast<std::size_t>(expected->count));
    EXPECT_EQ(other.sample_indices(*batch), indices);
    const Normalize normalize({0.4F}, {0.3F}, batch->fields[0].data.device());
    const auto images = [&](const DeviceField& field) { return normalize(field.data, field.selection); };
    EXPECT_TRUE(images(batch->field("image")).is_contiguous(at::MemoryFormat::ChannelsLast));
    EXPECT_TRUE(at::equal(images(batch->field("image")), images(expected->field("image"))));
    for (const DeviceField& field : expected->fields) {
      EXPECT_TRUE(at::equal(batch->field(field.name).tensor(), field.tensor())) << field.name;
    }
  }
  EXPECT_FALSE(other.next());
}

void expect_same_epochs(DeviceLoader& one, DeviceLoader& other, std::initializer_list<std::uint64_t> epochs) {
  for (const std::uint64_t epoch : epochs) {
    one.start_epoch(epoch);
    other.start_epoch(epoch);
    expect_same_rest_of_epoch(one, other);
  }
}

class DeviceLoaderOn : public testing::TestWithParam<at::DeviceType> {
 protected:
  void SetUp() override {
    if (GetParam() == at::kCUDA && !at::hasCUDA()) GTEST_SKIP() << "needs a GPU";
  }

  at::Device device() const { return {GetParam(), static_cast<at::DeviceIndex>(GetParam() == at::kCPU ? -1 : 0)}; }

  DeviceLoader loader(WorkerPool& pool, Split split, const DataLoaderOptions& options = {}) const {
    return DeviceLoader(pool, split, options, device());
  }
};

TEST_P(DeviceLoaderOn, ASplitKeptThereHasTheSameBatchesBitForBit) {
  WorkerPool pool(pool_options, images);
  for (const DataLoaderOptions& options : {DataLoaderOptions{.shuffle = true}, DataLoaderOptions{},
                                           DataLoaderOptions{.shuffle = true, .drop_last = true}}) {
    for (const Split split : {Split::train, Split::val}) {
      DeviceLoader loaded = loader(pool, split, options);
      DeviceLoader kept = loader(pool, split, options);
      kept.keep_on_device();
      expect_same_epochs(loaded, kept, {0, 1, 2, 7});
    }
  }
}

TEST_P(DeviceLoaderOn, ASplitKeptThereIsSampledByClassAsTheWorkersDo) {
  PoolOptions options = pool_options;
  options.sampling = Sampling::balanced;
  WorkerPool pool(options, images);
  DeviceLoader loaded = loader(pool, Split::train, {.shuffle = true});
  DeviceLoader kept = loader(pool, Split::train, {.shuffle = true});
  kept.keep_on_device();
  expect_same_epochs(loaded, kept, {0, 1, 7});
}

TEST_P(DeviceLoaderOn, ResidentSplitResumesMidEpoch) {
  WorkerPool pool(pool_options, images);
  DeviceLoader loaded = loader(pool, Split::train, {.shuffle = true});
  DeviceLoader kept = loader(pool, Split::train, {.shuffle = true});
  kept.keep_on_device();
  for (std::int64_t first = 0; first <= kept.batches(); ++first) {
    loaded.start_epoch(3, first);
    kept.start_epoch(3, first);
    expect_same_rest_of_epoch(loaded, kept);
  }
}

TEST_P(DeviceLoaderOn, ResidentSplitSkipsUnreadableSamplesLikeTheWorkers) {
  PoolOptions options = pool_options;
  options.on_worker_error = OnWorkerError::skip;
  WorkerPool pool(options, checkable(
                               40, 0,
                               [](std::size_t index) {
                                 if (index == 13 || index == 39) throw RunError("datasets", "damaged");
                               },
                               /*varying=*/false));
  DeviceLoader loaded = loader(pool, Split::train, {.shuffle = true});
  DeviceLoader kept = loader(pool, Split::train, {.shuffle = true});
  kept.keep_on_device();
  expect_same_epochs(loaded, kept, {0, 1, 2});

  std::set<std::uint64_t> indices;
  kept.start_epoch(3);
  while (const std::optional<DeviceBatch> batch = kept.next()) {
    for (const std::uint64_t index : kept.sample_indices(*batch)) EXPECT_TRUE(indices.insert(index).second);
  }
  EXPECT_EQ(indices.size(), 38u);
  EXPECT_EQ(indices.count(13) + indices.count(39), 0u);
}

/// Images of noise whose mask is the image.
class Masked final : public Dataset {
 public:
  std::size_t size() const override { return 30; }
  const std::vector<Field>& fields() const override { return fields_; }
  std::uint64_t fingerprint() const override { return 0; }
  void read(std::size_t index, RandomStream /*random*/, Sample& sample) const override {
    for (std::size_t i = 0; i < 8 * 9; ++i) {
      const auto value = static_cast<std::byte>(key_of({index, i}));
      sample.elements(0)[i] = sample.elements(1)[i] = value;
    }
    for (std::size_t i = 0; i < 3; ++i) sample.elements_as<float>(2)[i] = static_cast<float>(index + i);
  }

 private:
  std::vector<Field> fields_{{.name = "image", .shape = {8, 9, 1}},
                             {.name = "mask", .shape = {8, 9}},
                             {.name = "target", .dtype = DType::float32, .shape = {3}}};
};

TEST_P(DeviceLoaderOn, MasksKeptThereAreMirroredWithTheirImage) {
  WorkerPool pool(pool_options, [] {
    std::vector<LoadedSplit> splits(1);
    splits[0].dataset = std::make_unique<Masked>();
    splits[0].transforms =
        TransformPipeline({"center_crop(size=7)", "random_horizontal_flip"}, splits[0].dataset->fields());
    return splits;
  });
  DeviceLoader loaded = loader(pool, Split::train, {.shuffle = true});
  DeviceLoader kept = loader(pool, Split::train, {.shuffle = true});
  kept.keep_on_device();
  expect_same_epochs(loaded, kept, {0, 1, 2});
  kept.start_epoch(3);
  while (const std::optional<DeviceBatch> batch = kept.next()) {
    EXPECT_TRUE(at::equal(batch->field("image").tensor().squeeze(3), batch->field("mask").tensor()));
    EXPECT_EQ(batch->field("target").tensor().sizes(), (at::IntArrayRef{batch->count, 3}));
  }
}

TEST_P(DeviceLoaderOn, DeliversFieldsThatVary) {
  WorkerPool pool({.workers = 0, .batch_size = 8}, checkable(20));
  DeviceLoader batches = loader(pool, Split::train);
  batches.start_epoch(0);
  while (const std::optional<DeviceBatch> batch = batches.next()) {
    const std::vector<std::uint64_t> indices = batches.sample_indices(0, batch->number);
    const DeviceField& words = batch->field("words");
    const DeviceField& boxes = batch->field("boxes");
    const at::Tensor rows = words.rows.cpu();
    EXPECT_EQ(words.data.sizes(), (at::IntArrayRef{batch->count, rows.max().item<std::int64_t>()})) << "padded";
    EXPECT_EQ(boxes.data.sizes(), (at::IntArrayRef{boxes.rows.sum().item<std::int64_t>(), 3})) << "one behind another";
    EXPECT_EQ(boxes.begins.size(0), batch->count + 1);
    EXPECT_EQ(words.data.scalar_type(), at::kInt);
    for (std::size_t i = 0; i < indices.size(); ++i) {
      const auto place = static_cast<std::int64_t>(i);
      const std::vector<std::byte> expected =
          CheckableDataset::expected(pool.splits()[0].fields[2], static_cast<std::size_t>(indices[i]));
      const at::Tensor found = words.data.cpu()[place].slice(0, 0, rows[place].item<std::int64_t>()).contiguous();
      ASSERT_EQ(found.nbytes(), expected.size());
      EXPECT_EQ(std::memcmp(found.data_ptr(), expected.data(), expected.size()), 0);
    }
  }
}

// The tensors keep the slot for as long as they live, and no longer.
TEST(DeviceLoader, OnTheCpuABatchMayOutliveTheNextOnes) {
  WorkerPool pool({.workers = 0, .batch_size = 4, .prefetch = 2}, checkable(40, 0, nullptr, /*varying=*/false));
  DeviceLoader batches(pool, Split::train, {}, at::kCPU);
  batches.start_epoch(0);
  const at::Tensor first = batches.next()->field("image").data;
  const at::Tensor copy = first.clone();
  std::vector<at::Tensor> labels;
  while (const std::optional<DeviceBatch> batch = batches.next()) labels.push_back(batch->field("label").tensor());
  EXPECT_TRUE(at::equal(first, copy));
  EXPECT_EQ(labels.size(), 9u);
  EXPECT_EQ(labels[0][0].item<std::int64_t>(), 4);
}

TEST_P(DeviceLoaderOn, AnEpochMayEndEarly) {
  WorkerPool pool(pool_options, images);
  DeviceLoader batches = loader(pool, Split::train, {.shuffle = true});
  const auto count = [&](const BatchRange& range) {
    int delivered = 0;
    for (batches.start(range); batches.next();) ++delivered;
    return delivered;
  };
  for (const bool kept : {false, true}) {
    if (kept) batches.keep_on_device();
    EXPECT_EQ(count({0, 3}), 3);
    EXPECT_EQ(count({2, 3}), 1);
    EXPECT_EQ(count({3, 3}), 0);
  }
}

TEST_P(DeviceLoaderOn, ResidentSplitHasTheSameBatchesAcrossEpochs) {
  WorkerPool pool(pool_options, images);
  DeviceLoader loaded = loader(pool, Split::train, {.shuffle = true});
  DeviceLoader kept = loader(pool, Split::train, {.shuffle = true});
  kept.keep_on_device();
  for (const BatchRange& range : {BatchRange{0, 3}, {3, 11}, {11, 15}, {15, 50}, {0, 1}}) {  // epochs of 13 batches
    loaded.start(range);
    kept.start(range);
    expect_same_rest_of_epoch(loaded, kept);
  }
}

TEST_P(DeviceLoaderOn, LeavesNoSlotOccupiedWhenAnotherLoaderTakesItsTurn) {
  PoolOptions options = pool_options;
  options.prefetch = 1;
  WorkerPool pool(options, images);
  DeviceLoader train = loader(pool, Split::train, {.shuffle = true});
  DeviceLoader test = loader(pool, Split::val);
  for (std::uint64_t epoch = 0; epoch < 3; ++epoch) {
    int batches = 0;
    for (train.start({13 * epoch, 13 * epoch + 4}); train.next();) ++batches;
    for (test.start_epoch(0); test.next();) ++batches;
    EXPECT_EQ(batches, 4 + 3);
  }
}

TEST_P(DeviceLoaderOn, CountsWhatASplitKeptThereHandsOut) {
  WorkerPool pool(pool_options, images);
  DeviceLoader kept = loader(pool, Split::train, {.shuffle = true});
  kept.keep_on_device();
  kept.start_epoch(0);
  while (kept.next()) continue;
  const EpochStats stats = kept.stats();
  EXPECT_EQ(stats.samples, 101u);
  EXPECT_EQ(stats.bytes, 101u * (6 * 7 * 3 + 8));
  EXPECT_EQ(stats.busy_share, 0);
  EXPECT_GT(kept.waited_seconds(), 0);
}

INSTANTIATE_TEST_SUITE_P(Devices, DeviceLoaderOn, testing::Values(at::kCPU, at::kCUDA),
                         [](const auto& on) { return std::string(on.param == at::kCPU ? "Cpu" : "Gpu"); });

}  // namespace
}  // namespace trainyard
