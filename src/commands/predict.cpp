// trainyard predict: the classes a checkpoint sees in image files. The preprocessing comes from the checkpoint.

#include <algorithm>
#include <climits>
#include <filesystem>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include <ATen/Parallel.h>

#include "checkpoint/checkpoint_folder.h"
#include "commands/command.h"
#include "commands/machine.h"
#include "commands/picture_names.h"
#include "datasets/read_file.h"
#include "images/decode_image.h"
#include "training/precision.h"
#include "training/trained_model.h"
#include "transforms/pipeline.h"
#include "util/json_text.h"
#include "util/output.h"
#include "util/printable.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t batch_size = 32;

// A file's pixels, height × width × channels, or why there are none.
struct Loaded {
  Image image;
  std::string error;
};

// It goes through the transforms of val and test (transform.test), and is scaled to the model's size where these do not
// give it.
Loaded load_image(const std::string& file, const std::vector<std::int64_t>& shape, const TransformConfig& transform,
                  const ImageOptions& options) {
  try {
    const ImageSize wanted{static_cast<std::size_t>(shape[0]), static_cast<std::size_t>(shape[1])};
    Scratch scratch;
    const std::span<const std::byte> bytes = read_whole_file(file, scratch);
    const Image decoded = decode_image(bytes, static_cast<std::size_t>(shape[2]), file, options);
    const SampleSpec spec{
        {static_cast<std::int64_t>(decoded.height), static_cast<std::int64_t>(decoded.width), shape[2]}, DType::uint8};
    Image image = TransformPipeline(transform.test, spec).apply(decoded, 0, 0, 0);
    if (ImageSize{image.height, image.width} != wanted) image = resize(image, wanted);
    return {std::move(image), ""};
  } catch (const std::exception& error) {  // one bad file does not keep the others from being looked at
    return {{}, error.what()};
  }
}

class PredictCommand : public Command {
 public:
  void bind(Arguments& arguments) override {
    arguments.add("checkpoint", checkpoint_, "a run's folder, or one checkpoint of it", {.required = true});
    arguments.add("files", files_, "JPEG or PNG images, folders of them, or - for names from standard input",
                  {.required = true});
    arguments.add("--top", top_, "classes to print for each image", {.range = {{1, 1000}}});
    arguments.add("--json", json_, "one JSON object a line and file");
  }

  std::string checkpoint() const override { return checkpoint_; }

  int run(const Config& config) override {
    const CheckResult check = run_check(device_needs_of(config));
    const at::Device device = prepare_device(config, check);
    with_explained_errors(check, device, [&] { predict_all(config, device); });
    return failed_ == 0 ? 0 : static_cast<int>(ExitCode::run_failed);
  }

 private:
  void predict_all(const Config& config, at::Device device) {
    trained_.emplace(load_trained_model(resolve_checkpoint(checkpoint_), device));
    precision_ = config.train.precision;
    transform_ = config.transform;
    image_options_ = image_options(config.data);
    for (const std::string& file : files_) {
      if (file == "-") {
        predict_names_from_input(device);
      } else {
        predict_path(file, device);
      }
    }
  }

  void predict_path(const std::string& path, at::Device device) {
    std::error_code ignored;
    if (!fs::is_directory(path, ignored)) return predict_files(std::array{path}, device);
    const PicturesBelow pictures = pictures_below(path);
    const std::span<const std::string> files = pictures.files;
    for (std::size_t i = 0; i < files.size(); i += batch_size) {
      predict_files(files.subspan(i, std::min(batch_size, files.size() - i)), device);
    }
    for (const auto& [part, error] : pictures.errors) report_failure(part, error);
    if (files.empty() && pictures.errors.empty()) {
      report_failure(path, fmt::format("[predict] {} holds no pictures, such as .jpg, .jpeg or .png files", path));
    }
  }

  // One at a time: whoever writes a name gets the answer before the next.
  void predict_names_from_input(at::Device device) {
    NameReader names(STDIN_FILENO);
    while (const std::optional<std::string> name = names.next()) predict_path(*name, device);
  }

  void predict_files(std::span<const std::string> files, at::Device device) {
    const std::vector<std::int64_t>& shape = trained_->manifest.sample_shape;
    std::vector<Loaded> loaded(files.size());
    at::parallel_for(0, static_cast<std::int64_t>(files.size()), 1, [&](std::int64_t begin, std::int64_t end) {
      for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
        loaded[i] = load_image(files[i], shape, transform_, image_options_);
      }
    });
    std::vector<at::Tensor> pixels;
    for (Loaded& one : loaded) {
      if (one.error.empty()) pixels.push_back(at::from_blob(one.image.pixels.data(), shape, at::kByte));
    }
    const at::Tensor probabilities = pixels.empty() ? at::Tensor() : predict(at::stack(pixels).to(device));
    std::int64_t row = 0;
    for (std::size_t i = 0; i < files.size(); ++i) {
      if (loaded[i].error.empty()) {
        print_prediction(files[i], probabilities[row++]);
      } else {
        report_failure(files[i], loaded[i].error);
      }
    }
    flush_output();
  }

  // Probabilities of all classes, N × classes, on the CPU.
  at::Tensor predict(const at::Tensor& pixels) {
    const at::NoGradGuard no_grad;
    const Autocast autocast(precision_, pixels.device().type());
    return trained_->model->forward(trained_->normalize(pixels)).to(at::kFloat).softmax(1).cpu();
  }

  void print_prediction(const std::string& file, const at::Tensor& probabilities) const {
    const std::vector<std::string>& class_names = trained_->manifest.class_names;
    const auto [values, indices] = probabilities.topk(std::min<std::int64_t>(top_, probabilities.size(0)));
    nlohmann::ordered_json line = named(file);
    line["predictions"] = nlohmann::ordered_json::array();
    if (!json_) print("{}\n", printable(file, PATH_MAX));
    for (std::int64_t i = 0; i < values.size(0); ++i) {
      const auto index = indices[i].item<std::int64_t>();
      const std::string& name = class_names[static_cast<std::size_t>(index)];
      if (!json_) print("  {:6.2f} %  {}\n", 100 * values[i].item<double>(), printable(name));
      line["predictions"].push_back({{"class", name}, {"index", index}, {"probability", values[i].item<double>()}});
    }
    if (json_) print_line(line);
  }

  void report_failure(const std::string& file, const std::string& error) {
    ++failed_;
    print_error(error);
    if (!json_) return;
    nlohmann::ordered_json line = named(file);
    line["error"] = printable(error, 2 * PATH_MAX);
    print_line(line);
  }

  // JSON holds UTF-8 alone: another name is shown as printable() has it, and its bytes are given in hexadecimal.
  static nlohmann::ordered_json named(const std::string& file) {
    if (is_utf8(file)) return {{"file", file}};
    return {{"file", printable(file, PATH_MAX)},
            {"file_bytes", fmt::format("{:02x}", fmt::join(std::as_bytes(std::span(file)), ""))}};
  }

  static void print_line(const nlohmann::ordered_json& line) { write_output(json_text(line) + "\n"); }

  std::string checkpoint_;
  std::vector<std::string> files_;
  int top_ = 3;
  bool json_ = false;

  std::optional<TrainedModel> trained_;
  std::string precision_;
  TransformConfig transform_;
  ImageOptions image_options_;
  int failed_ = 0;
};

const CommandRegistry::Registration registered{"predict", "classify image files with a checkpoint",
                                               [] { return std::make_unique<PredictCommand>(); }, __FILE__};

}  // namespace
}  // namespace trainyard
