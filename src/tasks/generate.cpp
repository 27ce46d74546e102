#include "tasks/generate.h"

#include <algorithm>
#include <charconv>
#include <sstream>

#include "util/error.h"
#include "util/printable.h"
#include "util/random.h"

namespace trainyard {

std::vector<std::int64_t> generate(Model& model, std::vector<std::int64_t> tokens, std::int64_t context,
                                   const PredictOptions& options) {
  const at::NoGradGuard no_grad;
  const bool was_training = model.is_training();
  model.eval();
  const at::Device device = model.parameters().front().device();
  RandomStream random(key_of({options.seed, key_of("generate")}));
  const std::size_t given = tokens.size();
  for (int i = 0; i < options.tokens; ++i) {
    const auto seen = std::min(static_cast<std::ptrdiff_t>(tokens.size()), static_cast<std::ptrdiff_t>(context));
    const at::Tensor window = at::tensor(std::vector<std::int64_t>(tokens.end() - seen, tokens.end()), at::kLong);
    const TensorDict outputs = model.forward({{"tokens", window.unsqueeze(0).to(device)}});
    const at::Tensor logits = outputs.at("logits")[0][seen - 1].to(at::kDouble).cpu();
    tokens.push_back(draw_token(logits, options.temperature, options.top_k, random.uniform()));
  }
  model.train(was_training);
  return {tokens.begin() + static_cast<std::ptrdiff_t>(given), tokens.end()};
}

std::int64_t draw_token(const at::Tensor& logits, double temperature, int top_k, double uniform) {
  if (temperature == 0) return logits.argmax().item<std::int64_t>();
  const std::int64_t count = top_k == 0 ? logits.size(0) : std::min<std::int64_t>(top_k, logits.size(0));
  const auto [values, indices] = logits.topk(count);
  const at::Tensor sums = (values / temperature).softmax(0).cumsum(0);
  const auto sum = sums.accessor<double, 1>();
  std::int64_t place = 0;
  while (place + 1 < count && sum[place] <= uniform) ++place;
  return indices[place].item<std::int64_t>();
}

std::vector<std::int64_t> byte_tokens(const std::string& text) {
  std::vector<std::int64_t> tokens;
  for (const char c : text) tokens.push_back(static_cast<unsigned char>(c));
  return tokens;
}

std::vector<std::int64_t> numbers_in(const std::string& text, std::int64_t vocabulary) {
  std::vector<std::int64_t> tokens;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    std::int64_t token = -1;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), token);
    if (error != std::errc() || end != word.data() + word.size() || token < 0 || token >= vocabulary) {
      throw UsageError("predict", "'{}' is not a token; this model has no text, its prompts are numbers from 0 to {}",
                       printable(word), vocabulary - 1);
    }
    tokens.push_back(token);
  }
  return tokens;
}

}  // namespace trainyard
