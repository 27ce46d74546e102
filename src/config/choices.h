/// Enumerations for settings that are one of a few words. Each is bound to its words only here.
#pragma once

#include <array>
#include <cstdint>

#include "config/words.h"

namespace trainyard {

/// transform.decode: how to decode JPEGs.
enum class DecodeMode : std::uint8_t {
  exact,   ///< with Pillow's pixels
  scaled,  ///< at a half, a quarter or an eighth of its size, as long as that is not smaller than the result
  gpu,     ///< with the same pixels as exact, by the GPU that trains (loader_torch/image_decoder.h)
};
constexpr std::array<const char*, 3> words_of(DecodeMode) { return {"exact", "scaled", "gpu"}; }

/// loader.cache: where samples are kept after they are read.
enum class SampleCache : std::uint8_t {
  none,
  shm,  ///< in shared memory, every sample of train and val (loader/sample_cache.h)
  gpu,  ///< on the GPU, by the trainer (loader_torch/resident_split.h)
};
constexpr std::array<const char*, 3> words_of(SampleCache) { return {"none", "shm", "gpu"}; }

/// loader.sampling: which training samples a pass over the data contains.
enum class Sampling : std::uint8_t {
  uniform,   ///< each once
  balanced,  ///< the same number, drawn with replacement so that every class occurs equally often
};
constexpr std::array<const char*, 2> words_of(Sampling) { return {"uniform", "balanced"}; }

/// loader.on_worker_error: what to do if a sample cannot be read or its worker dies or takes too long.
enum class OnWorkerError : std::uint8_t {
  stop,   ///< stop the run and name the sample
  retry,  ///< read it again, in a new worker if the old one is lost; stop the run after `max_tries`
  skip,   ///< like retry, but after `max_tries` leave the sample out of its batch, which is then smaller
};
constexpr std::array<const char*, 3> words_of(OnWorkerError) { return {"stop", "retry", "skip"}; }

/// train.precision: the arithmetic of a training step.
enum class Precision : std::uint8_t {
  fp32,
  tf32,  ///< float32 with matrix products in TensorFloat-32
  bf16,  ///< autocast to bfloat16
  fp16,  ///< autocast to float16, with gradient scaling
};
constexpr std::array<const char*, 4> words_of(Precision) { return {"fp32", "tf32", "bf16", "fp16"}; }

/// train.on_nonfinite: what to do if the loss is NaN or infinite.
enum class OnNonfinite : std::uint8_t {
  stop,  ///< end the run
  skip,  ///< skip the step
};
constexpr std::array<const char*, 2> words_of(OnNonfinite) { return {"stop", "skip"}; }

}  // namespace trainyard
