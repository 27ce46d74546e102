#include "checkpoint/average.h"

#include <gmock/gmock.h>

#include "checkpoint/manifest_example.h"
#include "checkpoint/test_folder.h"
#include "util/torch.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

class Average : public testing::Test {
 protected:
  Average() { fs::create_directory(checkpoints()); }

  fs::path checkpoints() const { return folder_ / "checkpoints"; }

  fs::path write(std::int64_t step, const NamedTensors& model, const NamedTensors& ema = {}) const {
    return write(valid_manifest(step), model, ema);
  }
  fs::path write(const Manifest& manifest, const NamedTensors& model, const NamedTensors& ema = {}) const {
    return write_checkpoint(checkpoints(), {.manifest = manifest, .model = model, .ema = ema, .state = {}});
  }

  static NamedTensors weights(float value, std::int64_t counter) {
    return {{"weight", at::full({2, 3}, value)}, {"num_batches_tracked", at::scalar_tensor(counter, at::kLong)}};
  }

  TestFolder folder_;
};

TEST_F(Average, IsTheMeanOfWeightsAndTheLastOfCounters) {
  Manifest last = valid_manifest(30);
  last.window.seconds = 5;
  const std::vector<fs::path> paths = {write(10, weights(1, 10)), write(20, weights(2, 20)),
                                       write(last, weights(6, 30))};
  const Checkpoint found = average_of(paths);
  EXPECT_EQ(found.manifest.step, 30);
  EXPECT_EQ(found.manifest.window.seconds, 0) << "it has no state to resume from";
  ASSERT_EQ(found.model.size(), 2u);
  EXPECT_TRUE(at::equal(found.model[0].second, at::full({2, 3}, 3.f)));
  EXPECT_EQ(found.model[1].second.item<std::int64_t>(), 30);
  EXPECT_TRUE(found.state.empty());
}

TEST_F(Average, IsComputedInFloat64) {
  const std::vector<fs::path> paths = {write(10, {{"w", at::full({1}, 1e8f)}}), write(20, {{"w", at::full({1}, 1.f)}}),
                                       write(30, {{"w", at::full({1}, -1e8f)}})};
  EXPECT_FLOAT_EQ(average_of(paths).model[0].second.item<float>(), 1.f / 3);
}

TEST_F(Average, TakesTheAveragedWeightsOfARunThatHasThem) {
  const std::vector<fs::path> paths = {write(10, weights(1, 1), weights(5, 1)),
                                       write(20, weights(1, 2), weights(7, 2))};
  const Checkpoint found = average_of(paths);
  EXPECT_TRUE(at::equal(found.model[0].second, at::full({2, 3}, 6.f)));
  EXPECT_TRUE(found.ema.empty());
}

TEST_F(Average, IsACheckpointThatCanBeReadBack) {
  const std::vector<fs::path> paths = {write(10, weights(1, 1)), write(20, weights(3, 2))};
  fs::create_directory(folder_ / "averaged");
  const Checkpoint read = read_checkpoint(write_checkpoint(folder_ / "averaged", average_of(paths)));
  EXPECT_TRUE(at::equal(read.model[0].second, at::full({2, 3}, 2.f)));
}

TEST_F(Average, RefusesOtherModelsAndOtherShapes) {
  const fs::path first = write(10, weights(1, 1));
  const fs::path other_shape = write(20, {{"weight", at::zeros({3, 2})}, weights(1, 1)[1]});
  EXPECT_THAT(message_of<UsageError>([&] { average_of(std::vector{first, other_shape}); }),
              AllOf(HasSubstr("step-00000020"), HasSubstr("'weight' is of 3×2"), HasSubstr("2×3")));
  const fs::path fewer = write(30, {weights(1, 1)[0]});
  EXPECT_THAT(message_of<UsageError>([&] { average_of(std::vector{first, fewer}); }), HasSubstr("has 1 tensor,"));
  Manifest manifest = valid_manifest(40);
  manifest.model = "resnet18";
  const fs::path other_model = write(manifest, weights(1, 1));
  EXPECT_THAT(message_of<UsageError>([&] { average_of(std::vector{first, other_model}); }),
              AllOf(HasSubstr("resnet18"), HasSubstr("convnet")));
}

TEST_F(Average, RefusesADamagedCheckpoint) {
  const std::vector<fs::path> paths = {write(10, weights(1, 1)), write(20, weights(3, 2))};
  fs::resize_file(paths[1] / Manifest::model_file, fs::file_size(paths[1] / Manifest::model_file) - 1);
  EXPECT_THAT(message_of<RunError>([&] { average_of(paths); }), HasSubstr("step-00000020"));
}

}  // namespace
}  // namespace trainyard
