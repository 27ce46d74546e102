/// Generates text with a language model, token by token.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/model.h"
#include "tasks/task.h"

namespace trainyard {

/// Draws options.tokens tokens that continue `tokens`, which has at least one; each is predicted from at most the
/// `context` tokens before it. The result depends only on the model, options and tokens. Puts the model in evaluation
/// mode and then restores its previous mode.
std::vector<std::int64_t> generate(Model& model, std::vector<std::int64_t> tokens, std::int64_t context,
                                   const PredictOptions& options);

/// Draws a token from the softmax of `logits` (float64, one per token, on the CPU) divided by `temperature`, among the
/// `top_k` most probable tokens, or all if 0, and returns its index. uniform: a random number in [0, 1). A temperature
/// of 0 selects the most probable token.
std::int64_t draw_token(const at::Tensor& logits, double temperature, int top_k, double uniform);

/// Returns the bytes of a text as tokens.
std::vector<std::int64_t> byte_tokens(const std::string& text);

/// Parses tokens from a text, e.g. "17 4 291". Throws UsageError "predict" for anything that is not a number from 0 to
/// `vocabulary` - 1.
std::vector<std::int64_t> numbers_in(const std::string& text, std::int64_t vocabulary);

}  // namespace trainyard
