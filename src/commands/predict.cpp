// trainyard predict: applies a checkpoint to image files, to the rows of tables or to prompts. The preprocessing comes
// from the checkpoint.

#include <algorithm>
#include <climits>
#include <filesystem>
#include <limits>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include "checkpoint/checkpoint_folder.h"
#include "commands/command.h"
#include "commands/evaluate_checkpoint.h"
#include "commands/image_names.h"
#include "commands/line_reader.h"
#include "commands/machine.h"
#include "commands/named_image_reader.h"
#include "commands/prediction_writer.h"
#include "datasets/column_reader.h"
#include "datasets/stored_images.h"
#include "loader/open_pool.h"
#include "loader_torch/slot_tensors.h"
#include "tasks/findings.h"
#include "training/forward.h"
#include "training/trained_model.h"
#include "util/count_of.h"
#include "util/log.h"
#include "util/output.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;

constexpr int batch_size = 32;
constexpr std::size_t longest_prompt = (std::size_t{128} << 10) - 1;  // as Linux limits an argument

PoolOptions predict_pool_options(const Config& config) {
  PoolOptions options = pool_options(config);
  options.batch_size = batch_size;
  options.sampling = Sampling::uniform;
  return options;
}

class PredictCommand : public Command {
 public:
  void bind(Arguments& arguments) override {
    arguments.add("checkpoint", checkpoint_, "a run's folder, or one of its checkpoints", {.required = true});
    arguments.add("inputs", inputs_,
                  "JPEG or PNG images, folders of them, or - for names from standard input; for tables, CSV files; for "
                  "a language model, prompts, or - for one prompt per line; after --, they may begin with a dash",
                  {.required = true});
    arguments.add("--json", json_, "print a JSON object for each input, one per line");
    arguments.add("--mirror", mirror_, "average each image's logits with those of its mirror image");
    const std::string classes = "classes";
    arguments.add("--top", top_, "classes to print for each image (3)", {.range = {{1, 1000}}, .group = classes});
    const std::string masks = "masks";
    arguments.add("--output", output_, "folder for the masks, as PNG files (predictions)", {.group = masks});
    const std::string text = "text";
    arguments.add("--tokens", tokens_, "tokens to write (256)", {.range = {{1, 1'000'000}}, .group = text});
    arguments.add("--temperature", temperature_, "below 1: favour likely tokens; 0: always the most likely (0.8)",
                  {.range = {{0, 100}}, .group = text});
    arguments.add("--top_k", top_k_, "sample from this many of the most likely tokens; by default from all",
                  {.range = {{1, 1'000'000}}, .group = text});
    arguments.add("--seed", seed_, "seed of the sampling (0)",
                  {.range = {{0, std::numeric_limits<std::int64_t>::max()}}, .group = text});
  }

  std::string checkpoint() const override { return checkpoint_; }

  int run(const Config& config) override {
    writer_.emplace(json_ ? PredictionFormat::json : PredictionFormat::text, output_);
    const fs::path checkpoint = resolve_checkpoint(checkpoint_);
    const Manifest manifest = read_manifest(checkpoint);
    const Field* const image = find_field(manifest.fields, "image");
    if (image != nullptr) {
      reader_.emplace(
          predict_pool_options(config),  // forks, so before CUDA and any thread
          NamedImageOptions{
              .shape = image->shape, .transforms = config.transform.test, .image = image_options(config.data)});
    }
    const CheckResult check = run_check(device_needs_of(config));
    device_ = prepare_device(config, check);
    precision_ = config.train.precision;
    with_explained_errors(check, device_, [&] {
      trained_.emplace(load_trained_model(checkpoint, device_));
      require_trained_settings(trained_->config, config);
      const PredictOptions options = options_for(*trained_->task, manifest.task);
      if (trained_->task->answers_prompts()) {
        answer_prompts(options);
      } else if (reader_) {
        predict_images(options);
      } else {
        predict_tables(options);
      }
    });
    return writer_->refused() == 0 ? 0 : static_cast<int>(ExitCode::run_failed);
  }

 private:
  using Predictions = std::vector<std::optional<Prediction>>;  // none: the model's output is not finite

  // Rejects options that the task does not use.
  PredictOptions options_for(const Task& task, const std::string& name) const {
    std::vector<std::string> taken = task.predict_options();
    if (reader_) taken.emplace_back("mirror");
    const auto refuse = [&](bool given, const std::string& flag) {
      if (!given || std::find(taken.begin(), taken.end(), flag) != taken.end()) return;
      throw UsageError("predict", "--{} means nothing to {}, which takes {}; leave it out", flag, name,
                       taken.empty() ? "no such option" : fmt::format("--{}", fmt::join(taken, ", --")));
    };
    refuse(top_ != unset, "top");
    refuse(mirror_, "mirror");
    refuse(!output_.empty(), "output");
    refuse(tokens_ != unset, "tokens");
    refuse(temperature_ != unset, "temperature");
    refuse(top_k_ != unset, "top_k");
    refuse(seed_ != unset, "seed");
    PredictOptions options;
    if (top_ != unset) options.top = top_;
    if (tokens_ != unset) options.tokens = tokens_;
    if (temperature_ != unset) options.temperature = temperature_;
    if (top_k_ != unset) options.top_k = top_k_;
    if (seed_ != unset) options.seed = static_cast<std::uint64_t>(seed_);
    return options;
  }

  void answer_prompts(const PredictOptions& options) {
    const auto answer = [&](const std::string& prompt) {
      try {
        writer_->answer_prompt(prompt, trained_->task->answer(*trained_->model, prompt, options));
      } catch (const UsageError& error) {  // of this prompt; the others are answered
        writer_->refuse_prompt(prompt, error.what());
      }
      flush_output();
    };
    for (const std::string& input : inputs_) {
      if (input != "-") {
        answer(input);
        continue;
      }
      LineReader prompts(STDIN_FILENO, "prompt", longest_prompt);
      while (const std::optional<std::string> prompt = prompts.next()) answer(*prompt);
    }
  }

  void predict_tables(const PredictOptions& options) {
    options_ = options;
    for (const std::string& input : inputs_) {
      if (input != "-") {
        predict_table(input);
        continue;
      }
      NameReader names(STDIN_FILENO);
      while (const std::optional<std::string> name = names.next()) predict_table(*name);
    }
  }

  /// A row of a table: the elements of each field that the model reads, or why they cannot be read.
  struct Row {
    std::string name;
    std::vector<std::vector<std::byte>> elements;
    std::string error;
  };

  void predict_table(const std::string& path) {
    try {
      CsvReader file(path);
      const std::vector<Field> fields = trained_->task->model_input().fields;
      std::vector<ColumnReader> columns;
      for (const Field& field : fields) {
        if (field.columns.empty()) {
          throw UsageError("predict", "the model reads {}, whose columns have no names: a file has nothing to match",
                           describe({&field, 1}));
        }
        columns.emplace_back(file, field);
      }
      predict_rows_of(file, fields, columns);
      for (const ColumnReader& reader : columns) {
        const std::string unknown = reader.unknown_categories();
        if (!unknown.empty()) log_warning("[predict] {}: {}", path, unknown);
      }
    } catch (const OutputError&) {  // not an error of the file
      throw;
    } catch (const Error& error) {
      writer_->refuse_file(path, error.what());
      flush_output();
    }
  }

  // A row that cannot be read does not end the file. Text that is not CSV does, after the rows before it.
  void predict_rows_of(CsvReader& file, const std::vector<Field>& fields, std::vector<ColumnReader>& columns) {
    std::vector<Row> rows;
    const auto has_next = [&] {
      try {
        return file.next();
      } catch (const RunError&) {
        predict_rows(fields, rows);
        throw;
      }
    };
    while (has_next()) {
      rows.push_back(read_row(file, fields, columns));
      if (rows.size() == batch_size) predict_rows(fields, std::exchange(rows, {}));
    }
    predict_rows(fields, rows);
  }

  static Row read_row(const CsvReader& file, const std::vector<Field>& fields, std::vector<ColumnReader>& columns) {
    Row row{.name = file.place(), .elements = {}, .error = ""};
    try {
      for (std::size_t i = 0; i < fields.size(); ++i) {
        columns[i].read(file, row.elements.emplace_back(fields[i].bytes()));
      }
    } catch (const RunError& error) {
      row.error = error.what();
    }
    return row;
  }

  void predict_rows(const std::vector<Field>& fields, const std::vector<Row>& rows) {
    DeviceBatch raw{.fields = {}, .number = 0, .count = 0};
    for (std::size_t i = 0; i < fields.size(); ++i) {
      const at::ScalarType dtype = scalar_type(fields[i].dtype);
      std::vector<at::Tensor> elements;
      for (const Row& row : rows) {
        if (!row.error.empty()) continue;
        elements.push_back(at::from_blob(const_cast<std::byte*>(row.elements[i].data()), fields[i].shape, dtype));
      }
      raw.count = std::ssize(elements);
      if (raw.count > 0) raw.fields.push_back({.name = fields[i].name, .data = at::stack(elements).to(device_)});
    }
    const Predictions predictions = raw.count == 0 ? Predictions() : predict(raw);
    auto next = predictions.begin();
    for (const Row& row : rows) {
      if (row.error.empty()) {
        writer_->answer_file(row.name, *next++);
      } else {
        writer_->refuse_file(row.name, row.error);
      }
    }
    flush_output();
  }

  void predict_images(const PredictOptions& options) {
    options_ = options;
    for (const std::string& input : inputs_) {
      if (input == "-") {
        add_names_from_input();
      } else {
        add_path(input);
      }
    }
    finish_added();
  }

  void add_path(const std::string& path) {
    std::error_code ignored;
    if (!fs::is_directory(path, ignored)) return add_file(path);
    const ImagesBelow images = images_below(path);
    for (const std::string& file : images.files) add_file(file);
    for (const auto& [part, error] : images.errors) report_in_turn(part, error);
    if (images.files.empty() && images.errors.empty()) {
      report_in_turn(path, fmt::format("[predict] {} holds no images, such as .jpg, .jpeg or .png files", path));
    }
  }

  // If the writer of a name waits for the answer, it gets it before it writes the next name.
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
    while (const std::optional<ImageBatch> batch = reader_->take()) predict_batch(*batch);
  }

  void report_in_turn(const std::string& path, const std::string& error) {
    finish_added();
    writer_->refuse_file(path, error);
    flush_output();
  }

  void predict_batch(const ImageBatch& batch) {
    const std::vector<std::int64_t>& shape = find_field(trained_->manifest.fields, "image")->shape;
    std::vector<at::Tensor> pixels;
    for (const NamedImage& image : batch.images) {
      if (!image.error.empty()) continue;
      pixels.push_back(at::from_blob(const_cast<std::byte*>(image.pixels.data()), shape, at::kByte));
    }
    const Predictions predictions = pixels.empty()
                                        ? Predictions()
                                        : predict({.fields = {{.name = "image", .data = at::stack(pixels).to(device_)}},
                                                   .number = 0,
                                                   .count = std::ssize(pixels)});
    auto next = predictions.begin();
    for (const NamedImage& image : batch.images) {
      if (image.error.empty()) {
        writer_->answer_file(image.name, *next++);
      } else {
        writer_->refuse_file(image.name, image.error);
      }
    }
    flush_output();
  }

  Predictions predict(const DeviceBatch& raw) {
    const at::NoGradGuard no_grad;
    const TensorDict batch = trained_->task->prepare(raw);
    const TensorDict outputs = mirror_ ? forward_mirrored(*trained_->model, *trained_->task, batch, precision_)
                                       : forward(*trained_->model, *trained_->task, batch, precision_);
    const at::Tensor finite = are_finite(outputs, raw.count);
    std::vector<Prediction> predicted = trained_->task->predict(outputs, options_);
    if (std::ssize(predicted) != raw.count) {
      throw RunError("predict", "the task {} returns {} for {}: its predict() must return one for each",
                     trained_->manifest.task, count_of(predicted.size(), "prediction"), count_of(raw.count, "sample"));
    }
    Predictions predictions;
    for (Prediction& prediction : predicted) {
      const bool is_finite = finite[std::ssize(predictions)].item<bool>();
      predictions.push_back(is_finite ? std::optional(std::move(prediction)) : std::nullopt);
    }
    return predictions;
  }

  static constexpr int unset = -1;

  std::string checkpoint_;
  std::vector<std::string> inputs_;
  bool json_ = false;
  int top_ = unset;
  bool mirror_ = false;
  std::string output_;
  int tokens_ = unset;
  double temperature_ = unset;
  int top_k_ = unset;
  std::int64_t seed_ = unset;

  std::optional<PredictionWriter> writer_;
  std::optional<NamedImageReader> reader_;
  std::optional<TrainedModel> trained_;
  at::Device device_ = at::kCPU;
  Precision precision_ = Precision::fp32;
  PredictOptions options_;
};

const CommandRegistry::Registration registered{"predict", "predict classes, numbers, masks or text with a checkpoint",
                                               [] { return std::make_unique<PredictCommand>(); }, __FILE__};

}  // namespace
}  // namespace trainyard
