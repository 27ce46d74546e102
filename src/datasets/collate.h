/// Computes where variable-length samples are placed in a batch: the two usual implementations of Dataset::collate().
///
/// `rows[i]` is the number of rows of sample i. Sample i gets rows begins[i] to begins[i + 1] of the batch; it fills
/// the first `rows[i]` of them, and the rest are zero. begins.size() == rows.size() + 1; begins[0] is set to 0.
#pragma once

#include <cstdint>
#include <span>

namespace trainyard {

/// Pads every sample to the rows of the longest in the batch: the batch is N × longest × ..., like PyTorch's
/// torch.nn.utils.rnn.pad_sequence(batch_first=True).
void pad(std::span<const std::int64_t> rows, std::span<std::int64_t> begins);

/// Concatenates the samples without gaps: begins are the offsets of torch.nn.EmbeddingBag or of a jagged tensor.
void concatenate(std::span<const std::int64_t> rows, std::span<std::int64_t> begins);

}  // namespace trainyard
