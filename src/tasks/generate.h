/// Text from a language model, token by token.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/model.h"
#include "tasks/task.h"

namespace trainyard {

/// options.tokens tokens that `model` draws after `tokens`, which has at least one, from at most the last `context`.
/// What is drawn depends on options.seed and the tokens alone. The model is in evaluation mode meanwhile.
std::vector<std::int64_t> generate(Model& model, std::vector<std::int64_t> tokens, std::int64_t context,
                                   const PredictOptions& options);

/// The index of a token drawn by the softmax of `logits` (float64, one for each token, on the CPU) over `temperature`,
/// among the `top_k` likeliest, or all if 0. `uniform`: at least 0, below 1. A temperature of 0 takes the likeliest.
std::int64_t draw_token(const at::Tensor& logits, double temperature, int top_k, double uniform);

/// The bytes of a text as tokens.
std::vector<std::int64_t> bytes_of(const std::string& text);

/// The tokens of a text like "17 4 291". Throws UsageError "predict" for anything that is no number below `vocabulary`.
std::vector<std::int64_t> numbers_in(const std::string& text, std::int64_t vocabulary);

}  // namespace trainyard
