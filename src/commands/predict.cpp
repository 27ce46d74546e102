// trainyard predict: applies a checkpoint to image files, to the rows of tables or to prompts. The preprocessing comes
// from the checkpoint.

#include <algorithm>
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
#include "commands/image_predictor.h"
#include "commands/line_reader.h"
#include "commands/machine.h"
#include "commands/prediction_writer.h"
#include "commands/predictor.h"
#include "commands/table_predictor.h"
#include "datasets/stored_images.h"
#include "loader/open_pool.h"
#include "training/require_model_takes.h"
#include "training/trained_model.h"
#include "transforms/pipeline.h"
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

// With the size that `transforms` give to images of any size, or else that of the images of val.
std::vector<std::int64_t> shape_after(const std::vector<std::string>& transforms, const Manifest& manifest,
                                      const Field& trained) {
  std::vector<std::int64_t> shape = trained.shape;
  std::copy(manifest.val.image_size.begin(), manifest.val.image_size.end(), shape.begin());
  const TransformPipeline pipeline(transforms, {{.name = "image", .shape = shape, .is_stored_image = true}});
  const ImageSize size = pipeline.size_after({1000, 1000});
  if (size == pipeline.size_after({2000, 3000})) {
    shape[0] = static_cast<std::int64_t>(size.height);
    shape[1] = static_cast<std::int64_t>(size.width);
  }
  return shape;
}

void require_model_takes_images(const TrainedModel& trained, const std::vector<std::int64_t>& shape) {
  std::vector<Field> fields = trained.manifest.fields;
  for (Field& field : fields) {
    if (field.is_spatial()) std::copy_n(shape.begin(), 2, field.shape.begin());
  }
  require_model_takes(*trained.model, trained.config, task_data(trained.manifest), fields,
                      "images after transform.test");
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

  bool uses(const std::string& key) const override { return changes_evaluation(key); }

  int run(const Config& config) override {
    PredictionWriter writer(json_ ? PredictionFormat::json : PredictionFormat::text, output_);
    const fs::path checkpoint = resolve_checkpoint(checkpoint_);
    const Manifest manifest = read_manifest(checkpoint);
    const Field* const image = find_field(manifest.fields, "image");
    std::vector<std::int64_t> shape;
    std::optional<NamedImageReader> reader;
    if (image != nullptr) {
      shape = shape_after(config.transform.test, manifest, *image);
      reader.emplace(
          predict_pool_options(config),  // forks, so before CUDA and any thread
          NamedImageOptions{.shape = shape, .transforms = config.transform.test, .image = image_options(config.data)});
    }
    const CheckResult check = run_check(device_needs_of(config));
    const at::Device device = prepare_device(config, check);
    with_explained_errors(check, device, [&] {
      const TrainedModel trained = load_trained_model(checkpoint, device);
      require_trained_settings(trained.config, config);
      const PredictOptions options = options_for(*trained.task, manifest.task, image != nullptr);
      if (trained.task->answers_prompts()) return answer_prompts(trained, options, writer);
      require_inputs(trained.task->model_input().fields, reader.has_value());
      if (reader) require_model_takes_images(trained, shape);
      const Predictor predict(trained, device, config.train.precision, options, mirror_);
      if (reader) {
        ImagePredictor images(predict, *reader, shape, writer);
        predict_images(images);
      } else {
        TablePredictor tables(predict, writer);
        predict_tables(tables);
      }
    });
    return writer.refused() == 0 ? 0 : static_cast<int>(ExitCode::run_failed);
  }

 private:
  // Rejects options that the task does not use.
  PredictOptions options_for(const Task& task, const std::string& name, bool of_images) const {
    std::vector<std::string> taken = task.predict_options();
    if (of_images) taken.emplace_back("mirror");
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

  void answer_prompts(const TrainedModel& trained, const PredictOptions& options, PredictionWriter& writer) const {
    const auto answer = [&](const std::string& prompt) {
      try {
        writer.answer_prompt(prompt, trained.task->answer(*trained.model, prompt, options));
      } catch (const UsageError& error) {  // of this prompt; the others are answered
        writer.refuse_prompt(prompt, error.what());
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

  void predict_tables(TablePredictor& tables) const {
    for (const std::string& input : inputs_) {
      if (input != "-") {
        tables.predict_table(input);
        continue;
      }
      NameReader names(STDIN_FILENO);
      while (const std::optional<std::string> name = names.next()) tables.predict_table(*name);
    }
  }

  void predict_images(ImagePredictor& images) const {
    for (const std::string& input : inputs_) {
      if (input != "-") {
        images.add(input);
        continue;
      }
      // If the writer of a name waits for the answer, it gets it before it writes the next name.
      NameReader names(STDIN_FILENO, [&] { images.finish(); });
      while (const std::optional<std::string> name = names.next()) images.add(*name);
    }
    images.finish();
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
};

const CommandRegistry::Registration registered{"predict", "predict classes, numbers, masks or text with a checkpoint",
                                               [] { return std::make_unique<PredictCommand>(); }, __FILE__};

}  // namespace
}  // namespace trainyard
