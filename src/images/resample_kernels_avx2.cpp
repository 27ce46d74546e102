// The inner loops for AVX2. Pairs of inputs are adjacent 16-bit integers, which one instruction multiplies by two
// weights and adds: the idea of Pillow-SIMD and of PyTorch's UpSampleKernelAVXAntialias.h. Those have 16-bit weights
// and sometimes differ from Pillow by one level; here the upper and lower half of each weight have separate sums, so
// the bytes are Pillow's.
#ifdef __x86_64__

#include <algorithm>
#include <cstring>

#include <immintrin.h>

#include "images/resample_kernels.h"

namespace trainyard {
namespace {

// Weighted sums of eight pixels.
struct Sums {
  __m256i high;
  __m256i low;

  [[gnu::target("avx2")]] Sums() : high(_mm256_setzero_si256()), low(_mm256_set1_epi32(resampling_half)) {}

  // `inputs` are pairs of 16-bit integers.
  [[gnu::target("avx2")]] void add(__m256i inputs, const WeightPair& weights) {
    high = _mm256_add_epi32(high, _mm256_madd_epi16(inputs, both(weights.high)));
    low = _mm256_add_epi32(low, _mm256_madd_epi16(inputs, both(weights.low)));
  }
  [[gnu::target("avx2")]] __m256i rounded() const {
    return _mm256_srai_epi32(_mm256_add_epi32(_mm256_slli_epi32(high, 8), low), weight_bits);
  }

 private:
  [[gnu::target("avx2")]] static __m256i both(const std::int16_t* weights) {
    std::int32_t pair = 0;
    std::memcpy(&pair, weights, sizeof pair);
    return _mm256_set1_epi32(pair);
  }
};

[[gnu::target("avx2")]] inline __m256i load_both(const std::byte* low, const std::byte* high) {
  return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(low))),
                                 _mm_loadu_si128(reinterpret_cast<const __m128i*>(high)), 1);
}

// The lower half of each vector belongs to the first row, the upper half to the second.
[[gnu::target("avx2")]] void rgb_rows(const std::byte* const rows[2], const ResampleAxis& columns,
                                      std::byte* const out[2]) {
  // Shuffles for four pixels: the first two become [red red, green green, blue blue, 0 0] of 16 bits each; and so do
  // the other two.
  const __m256i first_two =
      _mm256_broadcastsi128_si256(_mm_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1));
  const __m256i other_two =
      _mm256_broadcastsi128_si256(_mm_setr_epi8(6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1));
  std::size_t at = 0;
  const std::size_t last = 3 * (columns.count() - 1);
  for (const ResampleAxis::Window& window : columns.windows()) {
    const WeightPair* weights = columns.weight_pairs(window);
    const std::byte* low = rows[0] + std::size_t{3} * window.first;
    const std::byte* high = rows[1] + std::size_t{3} * window.first;
    Sums sums;
    std::uint32_t left = window.count;
    for (; left > 2; left -= std::min(left, 4U), low += 12, high += 12) {
      const __m256i pixels = load_both(low, high);
      sums.add(_mm256_shuffle_epi8(pixels, first_two), *weights++);
      sums.add(_mm256_shuffle_epi8(pixels, other_two), *weights++);
    }
    if (left > 0) sums.add(_mm256_shuffle_epi8(load_both(low, high), first_two), *weights);
    const __m256i words = _mm256_packs_epi32(sums.rounded(), _mm256_setzero_si256());
    const __m256i bytes = _mm256_packus_epi16(words, words);
    const std::int32_t pixels[2] = {_mm_cvtsi128_si32(_mm256_castsi256_si128(bytes)),
                                    _mm_cvtsi128_si32(_mm256_extracti128_si256(bytes, 1))};
    // Writing four bytes is faster than three; the fourth is overwritten by the next pixel.
    const std::size_t size = at < last ? 4 : 3;
    std::memcpy(out[0] + at, &pixels[0], size);
    std::memcpy(out[1] + at, &pixels[1], size);
    at += 3;
  }
}

[[gnu::target("avx2")]] inline void column_block(const std::byte* source, std::size_t source_row_bytes,
                                                 const ResampleAxis& rows, const ResampleAxis::Window& window,
                                                 std::byte* out) {
  const WeightPair* weights = rows.weight_pairs(window);
  const __m256i zero = _mm256_setzero_si256();
  Sums sums[4];
  for (std::uint32_t i = 0; i < window.count; i += 2, ++weights) {
    const std::byte* const even = source + i * source_row_bytes;
    const std::byte* const odd = i + 1 < window.count ? even + source_row_bytes : even;  // has weight 0
    const __m256i a = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(even));
    const __m256i b = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(odd));
    const __m256i low = _mm256_unpacklo_epi8(a, b);
    const __m256i high = _mm256_unpackhi_epi8(a, b);
    sums[0].add(_mm256_unpacklo_epi8(low, zero), *weights);
    sums[1].add(_mm256_unpackhi_epi8(low, zero), *weights);
    sums[2].add(_mm256_unpacklo_epi8(high, zero), *weights);
    sums[3].add(_mm256_unpackhi_epi8(high, zero), *weights);
  }
  const __m256i pixels = _mm256_packus_epi16(_mm256_packs_epi32(sums[0].rounded(), sums[1].rounded()),
                                             _mm256_packs_epi32(sums[2].rounded(), sums[3].rounded()));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), pixels);
}

[[gnu::target("avx2")]] void column(const std::byte* source, std::size_t source_row_bytes, const ResampleAxis& rows,
                                    const ResampleAxis::Window& window, std::size_t row_bytes, std::byte* out) {
  constexpr std::size_t block = 32;
  if (row_bytes < block) {
    return portable_resample_kernels().column(source, source_row_bytes, rows, window, row_bytes, out);
  }
  std::size_t x = 0;
  for (; x + block <= row_bytes; x += block) column_block(source + x, source_row_bytes, rows, window, out + x);
  // The last block overlaps the one before.
  x = row_bytes - block;
  column_block(source + x, source_row_bytes, rows, window, out + x);
}

}  // namespace

const ResampleKernels& best_resample_kernels() {
  static constexpr ResampleKernels avx2{rgb_rows, column};
  static const bool has_avx2 = __builtin_cpu_supports("avx2") != 0;
  return has_avx2 ? avx2 : portable_resample_kernels();
}

}  // namespace trainyard

#endif
