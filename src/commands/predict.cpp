// trainyard predict: the classes a checkpoint sees in image files. The preprocessing comes from the checkpoint.

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <ATen/Parallel.h>

#include "checkpoint/checkpoint_folder.h"
#include "commands/command.h"
#include "commands/machine.h"
#include "images/decode_image.h"
#include "training/precision.h"
#include "training/trained_model.h"
#include "transforms/pipeline.h"
#include "util/json_text.h"
#include "util/system.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t batch_size = 32;

bool is_image_name(const fs::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return extension == ".jpg" || extension == ".jpeg" || extension == ".png";
}

// Every image below `folder`, in the order of their names.
std::vector<std::string> images_below(const std::string& folder) {
  std::vector<std::string> files;
  try {
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
      if (entry.is_regular_file() && is_image_name(entry.path())) files.push_back(entry.path().string());
    }
  } catch (const fs::filesystem_error& error) {
    throw RunError("predict", "{}: {}", folder, error.code().message());
  }
  if (files.empty()) throw RunError("predict", "{} holds no .jpg, .jpeg or .png file", folder);
  std::sort(files.begin(), files.end());
  return files;
}

// A file's pixels, height × width × channels, or why there are none.
struct Loaded {
  Image image;
  std::string error;
};

// It goes through the transforms of the test set, and is scaled to the model's size where these do not give it.
Loaded load_image(const std::string& file, const std::vector<std::int64_t>& shape, const TransformConfig& transform,
                  const ImageOptions& options) {
  try {
    const ImageSize wanted{static_cast<std::size_t>(shape[0]), static_cast<std::size_t>(shape[1])};
    const Mapping bytes = Mapping::read_only_file(file, "predict");
    const Image decoded = decode_image(bytes.bytes(), static_cast<std::size_t>(shape[2]), file, options);
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
    try {
      const std::vector<std::string> files = images_below(path);
      for (std::size_t i = 0; i < files.size(); i += batch_size) {
        predict_files(std::span(files).subspan(i, std::min(batch_size, files.size() - i)), device);
      }
    } catch (const RunError& error) {
      report_failure(path, error.what());
    }
  }

  // One at a time: whoever writes a name gets the answer before the next.
  void predict_names_from_input(at::Device device) {
    for (std::string name; std::getline(std::cin, name);) {
      if (!name.empty()) predict_path(name, device);
    }
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
    std::fflush(stdout);
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
    nlohmann::ordered_json line = {{"file", file}, {"predictions", nlohmann::ordered_json::array()}};
    if (!json_) fmt::print("{}\n", file);
    for (std::int64_t i = 0; i < values.size(0); ++i) {
      const auto index = indices[i].item<std::int64_t>();
      const std::string& name = class_names[static_cast<std::size_t>(index)];
      if (!json_) fmt::print("  {:6.2f} %  {}\n", 100 * values[i].item<double>(), name);
      line["predictions"].push_back({{"class", name}, {"index", index}, {"probability", values[i].item<double>()}});
    }
    if (json_) print_line(line);
  }

  void report_failure(const std::string& file, const std::string& error) {
    ++failed_;
    fmt::print(stderr, "{}\n", error);
    if (json_) print_line({{"file", file}, {"error", error}});
  }

  static void print_line(const nlohmann::ordered_json& line) { fmt::print("{}\n", json_text(line)); }

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
