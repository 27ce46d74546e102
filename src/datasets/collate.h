/// Where the samples of a batch lie when they vary in length: the two usual answers for Dataset::collate().
///
/// `rows[i]` is what sample i has; sample i gets the rows begins[i] to begins[i + 1] of the batch, of which it fills
/// the first `rows[i]` and the others are zero. begins.size() == rows.size() + 1; begins[0] becomes 0.
#pragma once

#include <cstdint>
#include <span>

namespace trainyard {

/// As many rows for each sample as the longest of the batch has: the batch is N × longest × .... As PyTorch's
/// torch.nn.utils.rnn.pad_sequence(batch_first=True).
void pad(std::span<const std::int64_t> rows, std::span<std::int64_t> begins);

/// One sample behind the other, without gaps: begins are the offsets of torch.nn.EmbeddingBag and of a jagged tensor.
void concatenate(std::span<const std::int64_t> rows, std::span<std::int64_t> begins);

}  // namespace trainyard
