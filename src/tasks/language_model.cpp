// The next token of a text: cross-entropy against the field "tokens", each token predicted from those before it.

#include <cmath>
#include <numbers>

#include <ATen/ops/cross_entropy_loss.h>

#include "config/component.h"
#include "tasks/findings.h"
#include "tasks/generate.h"
#include "tasks/task.h"
#include "util/error.h"
#include "util/printable.h"

namespace trainyard {
namespace {

constexpr std::int64_t byte_values = 256;

struct LanguageModelSettings {
  double bytes_per_token = 0;

  void declare(SettingTable& table) {
    table.add("bytes_per_token", bytes_per_token,
              "mean length of a token in bytes, for val/bits_per_byte; 0: 1 if tokens are bytes, otherwise unknown",
              number(0, 1e6), Resume::free);
  }
};
const ComponentSettings<LanguageModelSettings> settings{"task.language_model", {"language_model"}, __FILE__};

// Shows a text that the model has written.
class WrittenText final : public Evaluation {
 public:
  explicit WrittenText(const Task& task) : task_(task) {}

  void add(const DeviceBatch&, const TensorDict&, const TensorDict&, std::span<const std::uint64_t>) override {}

  Findings findings(Model& model) override {
    Findings result;
    result.texts.push_back(task_.answer(model, "", {.tokens = 400}).text);
    return result;
  }

 private:
  const Task& task_;
};

class LanguageModel final : public Task {
 public:
  LanguageModel(const LanguageModelSettings& config, const TaskData& data) : bytes_per_token_(config.bytes_per_token) {
    Field tokens = required_field(data, "language_model", "tokens");
    const bool fits = tokens.dtype == DType::int32 && tokens.shape.size() == 1 && !tokens.varies &&
                      tokens.shape[0] >= 2 && tokens.values;
    if (!fits) {
      throw UsageError("task.name",
                       "language_model needs tokens of int32, two or more per sample, of a known "
                       "vocabulary; the data have {}",
                       describe(data.fields));
    }
    vocabulary_ = tokens.values->count;
    ignored_ = tokens.values->ignored.value_or(-1);
    if (bytes_per_token_ == 0 && vocabulary_ == byte_values) bytes_per_token_ = 1;
    const std::int64_t context = --tokens.shape[0];
    input_ = {.fields = {tokens}, .outputs = vocabulary_, .logits = {context, vocabulary_}};
  }

  ModelInput model_input() const override { return input_; }

  // The last token of a window is a target alone, the first an input alone.
  TensorDict prepare(const DeviceBatch& batch) const override {
    const at::Tensor tokens = batch.field("tokens").tensor().to(at::kLong);
    const std::int64_t context = tokens.size(1) - 1;
    return {{"tokens", tokens.narrow(1, 0, context).clamp_min(0)}, {"target", tokens.narrow(1, 1, context)}};
  }

  Loss loss(const TensorDict& outputs, const TensorDict& batch, Phase /*phase*/) const override {
    const at::Tensor target = batch.at("target").flatten();
    const at::Tensor logits = outputs.at("logits").reshape({-1, vocabulary_});
    return {.sum = at::cross_entropy_loss(logits, target, /*weight=*/{}, at::Reduction::Sum, ignored_),
            .weight = target.ne(ignored_).sum().to(logits.scalar_type())};
  }

  std::vector<Metric> metrics(Phase /*phase*/) const override {
    return {{.name = "nats",
             .size = 2,
             .sums =
                 [](const MetricInput& input) {
                   return at::stack({input.loss.sum.to(at::kDouble), input.loss.weight.to(at::kDouble)});
                 },
             .values = [bytes = bytes_per_token_](std::span<const double> sums) -> MetricValues {
               const double nats = sums[1] == 0 ? 0 : sums[0] / sums[1];
               MetricValues values = {{"perplexity", std::exp(nats)}};
               if (bytes > 0) values.emplace_back("bits_per_byte", nats / std::numbers::ln2 / bytes);
               return values;
             }}};
  }

  Monitor monitor() const override { return {.metric = "loss", .higher_is_better = false}; }

  std::unique_ptr<Evaluation> evaluation(std::size_t /*worst*/) const override {
    return std::make_unique<WrittenText>(*this);
  }

  std::vector<std::string> predict_options() const override { return {"tokens", "temperature", "top_k", "seed"}; }
  bool answers_prompts() const override { return true; }

  Prediction answer(Model& model, const std::string& prompt, const PredictOptions& options) const override {
    std::vector<std::int64_t> tokens = is_bytes() ? bytes_of(prompt) : numbers_in(prompt, vocabulary_);
    if (tokens.empty()) tokens.push_back(is_bytes() ? '\n' : 0);
    const std::int64_t context = input_.fields.front().shape[0];
    const std::vector<std::int64_t> more = generate(model, tokens, context, options);
    std::string text = prompt;
    for (const std::int64_t token : more) {
      text += is_bytes() ? std::string(1, static_cast<char>(token)) : fmt::format(" {}", token);
    }
    return {.text = text, .json = {{"text", is_utf8(text) ? text : printable_lines(text)}, {"tokens", more}}};
  }

 private:
  bool is_bytes() const { return vocabulary_ == byte_values; }

  std::int64_t vocabulary_ = 0;
  std::int64_t ignored_ = -1;
  double bytes_per_token_;
  ModelInput input_;
};

const TaskRegistry::Registration registered{
    "language_model", "the next token of a text: field tokens",
    [](const TaskConfig& config, const TaskData& data, at::Device) -> std::unique_ptr<Task> {
      return std::make_unique<LanguageModel>(settings.in(config), data);
    },
    __FILE__};

}  // namespace
}  // namespace trainyard
