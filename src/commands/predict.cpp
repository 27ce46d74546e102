// trainyard predict: the classes a checkpoint sees in image files. The preprocessing comes from the checkpoint.

#include <algorithm>
#include <climits>
#include <filesystem>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "checkpoint/checkpoint_folder.h"
#include "commands/command.h"
#include "commands/machine.h"
#include "commands/picture_names.h"
#include "commands/picture_reader.h"
#include "commands/splits.h"
#include "datasets/pictures.h"
#include "training/precision.h"
#include "training/trained_model.h"
#include "util/json_text.h"
#include "util/output.h"
#include "util/printable.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;

constexpr int batch_size = 32;

PoolOptions predict_pool_options(const Config& config) {
  PoolOptions options = pool_options(config);
  options.batch_size = batch_size;
  return options;
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
    const fs::path checkpoint = resolve_checkpoint(checkpoint_);
    const Manifest manifest = read_manifest(checkpoint);
    const std::vector<std::int64_t>& shape = image_shape(manifest, checkpoint.string());
    reader_.emplace(
        predict_pool_options(config),  // forks: before CUDA, before any thread
        PictureOptions{.shape = shape, .transforms = config.transform.test, .image = image_options(config.data)});
    const CheckResult check = run_check(device_needs_of(config));
    device_ = prepare_device(config, check);
    precision_ = config.train.precision;
    with_explained_errors(check, device_, [&] {
      trained_.emplace(load_trained_model(checkpoint, device_));
      for (const std::string& file : files_) {
        if (file == "-") {
          add_names_from_input();
        } else {
          add_path(file);
        }
      }
      finish_added();
    });
    return failed_ == 0 ? 0 : static_cast<int>(ExitCode::run_failed);
  }

 private:
  void add_path(const std::string& path) {
    std::error_code ignored;
    if (!fs::is_directory(path, ignored)) return add_file(path);
    const PicturesBelow pictures = pictures_below(path);
    for (const std::string& file : pictures.files) add_file(file);
    for (const auto& [part, error] : pictures.errors) report_in_turn(part, error);
    if (pictures.files.empty() && pictures.errors.empty()) {
      report_in_turn(path, fmt::format("[predict] {} holds no pictures, such as .jpg, .jpeg or .png files", path));
    }
  }

  // Whoever writes a name and waits gets the answer before the next name.
  void add_names_from_input() {
    NameReader names(STDIN_FILENO, [this] { finish_added(); });
    while (const std::optional<std::string> name = names.next()) add_path(*name);
  }

  void add_file(const std::string& file) {
    if (file.size() > PATH_MAX) {
      return report_in_turn(file, fmt::format("[predict] a name of {} bytes is too long: {}", file.size(), file));
    }
    while (reader_->is_full()) predict_batch(*reader_->take());
    reader_->add(file);
  }

  void finish_added() {
    reader_->flush();
    while (const std::optional<PictureBatch> batch = reader_->take()) predict_batch(*batch);
  }

  void report_in_turn(const std::string& path, const std::string& error) {
    finish_added();
    report_failure(path, error);
    flush_output();
  }

  void predict_batch(const PictureBatch& batch) {
    const std::vector<std::int64_t>& shape = image_shape(trained_->manifest, checkpoint_);
    std::vector<at::Tensor> pixels;
    for (const NamedPicture& picture : batch.pictures) {
      if (!picture.error.empty()) continue;
      pixels.push_back(at::from_blob(const_cast<std::byte*>(picture.pixels.data()), shape, at::kByte));
    }
    const at::Tensor probabilities = pixels.empty() ? at::Tensor() : predict(at::stack(pixels).to(device_));
    std::int64_t row = 0;
    for (const NamedPicture& picture : batch.pictures) {
      if (picture.error.empty()) {
        print_prediction(picture.name, probabilities[row++]);
      } else {
        report_failure(picture.name, picture.error);
      }
    }
    flush_output();
  }

  // Probabilities of all classes, N × classes, on the CPU.
  at::Tensor predict(const at::Tensor& pixels) {
    const at::NoGradGuard no_grad;
    const Autocast autocast(precision_, pixels.device().type());
    const TensorDict outputs = trained_->model->forward({{"image", trained_->normalize(pixels)}});
    return outputs.at("logits").to(at::kFloat).softmax(1).cpu();
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

  std::optional<PictureReader> reader_;
  std::optional<TrainedModel> trained_;
  at::Device device_ = at::kCPU;
  Precision precision_ = Precision::fp32;
  int failed_ = 0;
};

const CommandRegistry::Registration registered{"predict", "classify image files with a checkpoint",
                                               [] { return std::make_unique<PredictCommand>(); }, __FILE__};

}  // namespace
}  // namespace trainyard
