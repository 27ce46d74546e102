// trainyard predict: the classes a checkpoint sees in image files. The preprocessing comes from the checkpoint.

#include <fmt/format.h>

#include "checkpoint/checkpoint_folder.h"
#include "commands/command.h"
#include "commands/machine.h"
#include "images/decode_image.h"
#include "training/trained_model.h"
#include "transforms/pipeline.h"
#include "util/system.h"

namespace trainyard {
namespace {

class PredictCommand : public Command {
 public:
  void bind(CLI::App& subcommand) override {
    subcommand.add_option("checkpoint", checkpoint_, "a run's folder, or one checkpoint of it")->required();
    subcommand.add_option("files", files_, "JPEG or PNG images")->required();
    subcommand.add_option("--top", top_, "classes to print for each image")->check(CLI::Range(1, 1000));
  }

  std::string checkpoint() const override { return checkpoint_; }

  int run(const Config& config) override {
    const CheckResult check = run_check(device_needs_of(config));
    const at::Device device = prepare_device(config, check);
    return with_explained_errors(check, device, [&] { return predict_all(config, device); });
  }

 private:
  int predict_all(const Config& config, at::Device device) const {
    const TrainedModel trained = load_trained_model(resolve_checkpoint(checkpoint_), device);

    int failed = 0;
    for (const std::string& file : files_) {
      try {
        print_prediction(file, predict(file, trained, config.transform, device), trained.manifest.class_names);
      } catch (const RunError& error) {  // one bad file does not keep the others from being looked at
        fmt::print(stderr, "{}\n", error.what());
        ++failed;
      }
    }
    return failed == 0 ? 0 : static_cast<int>(ExitCode::run_failed);
  }

  // Probabilities of all classes, on the CPU. The picture goes through the transforms of the test set, and is scaled to
  // the model's size where these do not give it.
  static at::Tensor predict(const std::string& file, const TrainedModel& trained, const TransformConfig& transform,
                            at::Device device) {
    const at::NoGradGuard no_grad;
    const std::vector<std::int64_t>& shape = trained.manifest.sample_shape;
    const ImageSize wanted{static_cast<std::size_t>(shape[0]), static_cast<std::size_t>(shape[1])};
    const Mapping bytes = Mapping::read_only_file(file, "predict");
    const Image decoded = decode_image(bytes.bytes(), static_cast<std::size_t>(shape[2]), file);
    const SampleSpec spec{
        {static_cast<std::int64_t>(decoded.height), static_cast<std::int64_t>(decoded.width), shape[2]}, DType::uint8};
    Image image = TransformPipeline(transform.test, spec).apply(decoded, 0, 0, 0);
    if (ImageSize{image.height, image.width} != wanted) image = resize(image, wanted);
    const at::Tensor pixels = at::from_blob(image.pixels.data(), {1, shape[0], shape[1], shape[2]}, at::kByte);
    return trained.model->forward(trained.normalize(pixels.to(device))).softmax(1)[0].cpu();
  }

  void print_prediction(const std::string& file, const at::Tensor& probabilities,
                        const std::vector<std::string>& class_names) const {
    const auto count = std::min<std::int64_t>(top_, probabilities.size(0));
    const auto [values, indices] = probabilities.topk(count);
    fmt::print("{}\n", file);
    for (std::int64_t i = 0; i < count; ++i) {
      fmt::print("  {:6.2f} %  {}\n", 100 * values[i].item<double>(),
                 class_names[static_cast<std::size_t>(indices[i].item<std::int64_t>())]);
    }
  }

  std::string checkpoint_;
  std::vector<std::string> files_;
  int top_ = 3;
};

const CommandRegistry::Registration registered{"predict", "classify image files with a checkpoint",
                                               [] { return std::make_unique<PredictCommand>(); }, __FILE__};

}  // namespace
}  // namespace trainyard
