/// Settings that are one of a few words, as enumerations. Each is bound to its words here and nowhere else.
#pragma once

#include <array>
#include <cstdint>

#include "config/words.h"

namespace trainyard {

/// transform.decode: how a JPEG is decoded that is to become smaller.
enum class DecodeMode : std::uint8_t {
  exact,   ///< to Pillow's pixels
  scaled,  ///< at a half, a quarter or an eighth of its size, as long as that is no smaller than the result
};
constexpr std::array<const char*, 2> words_of(DecodeMode) { return {"exact", "scaled"}; }

/// loader.cache: where samples are kept once they have been read.
enum class SampleCache : std::uint8_t {
  none,
  shm,  ///< in shared memory, every sample of train and val (loader/sample_cache.h)
  gpu,  ///< on the GPU, by the trainer (loader_torch/resident_split.h)
};
constexpr std::array<const char*, 3> words_of(SampleCache) { return {"none", "shm", "gpu"}; }

/// loader.sampling: which training samples an epoch has.
enum class Sampling : std::uint8_t {
  uniform,   ///< each once
  balanced,  ///< as many, drawn with replacement, every class equally often
};
constexpr std::array<const char*, 2> words_of(Sampling) { return {"uniform", "balanced"}; }

/// loader.on_worker_error: what happens when a sample cannot be read, or the worker that reads it dies or takes too
/// long.
enum class OnWorkerError : std::uint8_t {
  stop,   ///< the run stops and names the sample
  retry,  ///< it is read again, by a new worker where the old one is lost; after `max_tries` the run stops
  skip,   ///< as retry, but after `max_tries` the sample is left out of its batch, which is smaller by it
};
constexpr std::array<const char*, 3> words_of(OnWorkerError) { return {"stop", "retry", "skip"}; }

/// train.precision: the arithmetic of a training step.
enum class Precision : std::uint8_t {
  fp32,
  tf32,  ///< float32, its products in TensorFloat-32
  bf16,  ///< autocast to bfloat16
  fp16,  ///< autocast to float16, with gradient scaling
};
constexpr std::array<const char*, 4> words_of(Precision) { return {"fp32", "tf32", "bf16", "fp16"}; }

/// train.on_nonfinite: what a loss that is NaN or infinite leads to.
enum class OnNonfinite : std::uint8_t {
  stop,  ///< the run ends
  skip,  ///< its step changes nothing
};
constexpr std::array<const char*, 2> words_of(OnNonfinite) { return {"stop", "skip"}; }

}  // namespace trainyard
