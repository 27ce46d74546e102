/// Products of 16 × 16 tiles of 16-bit elements on the tensor cores, by one warp (PTX ISA, "Matrix multiply-accumulate
/// instructions": mma.m16n8k16 and ldmatrix). The results are float32. Needs compute capability 8.0.
#pragma once

#include <type_traits>

#include <cuda_bf16.h>
#include <cuda_fp16.h>

namespace trainyard {

/// A 16 × 16 tile as the left or the right operand of multiply().
struct Tile {
  unsigned part[4];
};

/// The part of a 16 × 8 product that a thread holds: rows lane / 4 and lane / 4 + 8, columns 2 · (lane % 4) and the
/// next, row by row.
struct Sums {
  float at[4];
};

/// A matrix in shared memory: rows of `stride` elements. If the stride is an odd multiple of 8, no access to a tile has
/// a bank conflict.
template <typename T>
struct SharedMatrix {
  T* data;
  unsigned stride;

  __device__ T* row(unsigned index) const { return data + index * stride; }
};

namespace tensor_cores {

inline __device__ unsigned lane() { return threadIdx.x % 32; }

template <bool transposed>
__device__ Tile load(const void* from) {
  Tile tile;
  const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(from));
  if constexpr (transposed) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(tile.part[0]), "=r"(tile.part[1]), "=r"(tile.part[2]), "=r"(tile.part[3])
                 : "r"(address));
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(tile.part[0]), "=r"(tile.part[1]), "=r"(tile.part[2]), "=r"(tile.part[3])
                 : "r"(address));
  }
  return tile;
}

// Where this lane points ldmatrix to: 8 adjacent elements of the 16 × 16 tile of `matrix` that begins at (row, column).
// Eight lanes each point to one of its 8 × 8 quarters: upper left, lower left, upper right, lower right.
template <typename T>
__device__ const T* column_by_column(const SharedMatrix<T>& matrix, unsigned row, unsigned column) {
  return matrix.row(row + lane() % 16) + column + lane() / 16 * 8;
}
// The same in the order upper left, upper right, lower left, lower right.
template <typename T>
__device__ const T* row_by_row(const SharedMatrix<T>& matrix, unsigned row, unsigned column) {
  return matrix.row(row + lane() / 16 * 8 + lane() % 8) + column + lane() / 8 % 2 * 8;
}

inline __device__ unsigned pack(float low, float high, __half) {
  const __half2 both = __floats2half2_rn(low, high);
  return *reinterpret_cast<const unsigned*>(&both);
}
inline __device__ unsigned pack(float low, float high, __nv_bfloat16) {
  const __nv_bfloat162 both = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<const unsigned*>(&both);
}

}  // namespace tensor_cores

/// The tile of `matrix` that begins at (row, column), as the left operand.
template <typename T>
__device__ Tile left_tile(const SharedMatrix<T>& matrix, unsigned row, unsigned column) {
  return tensor_cores::load<false>(tensor_cores::column_by_column(matrix, row, column));
}

/// The same of the transposed matrix: the tile begins at (column, row) of `matrix`.
template <typename T>
__device__ Tile left_tile_of_transposed(const SharedMatrix<T>& matrix, unsigned row, unsigned column) {
  return tensor_cores::load<true>(tensor_cores::row_by_row(matrix, column, row));
}

/// The tile of `matrix` that begins at (row, column), as the right operand.
template <typename T>
__device__ Tile right_tile(const SharedMatrix<T>& matrix, unsigned row, unsigned column) {
  return tensor_cores::load<true>(tensor_cores::column_by_column(matrix, row, column));
}

/// The same of the transposed matrix: the tile begins at (column, row) of `matrix`.
template <typename T>
__device__ Tile right_tile_of_transposed(const SharedMatrix<T>& matrix, unsigned row, unsigned column) {
  return tensor_cores::load<false>(tensor_cores::row_by_row(matrix, column, row));
}

/// A product's 16 × 16 columns `left` and `right`, rounded to T, as the left operand.
template <typename T>
__device__ Tile left_tile(const Sums& left, const Sums& right) {
  using tensor_cores::pack;
  return {{pack(left.at[0], left.at[1], T()), pack(left.at[2], left.at[3], T()), pack(right.at[0], right.at[1], T()),
           pack(right.at[2], right.at[3], T())}};
}

/// sums[0] and sums[1], the left and the right half of 16 × 16 elements, += left · right.
template <typename T>
__device__ void multiply(const Tile& left, const Tile& right, Sums* sums) {
#if __CUDA_ARCH__ >= 800
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float* const d = sums[half].at;
    const unsigned b0 = right.part[2 * half];
    const unsigned b1 = right.part[2 * half + 1];
    if constexpr (std::is_same_v<T, __half>) {
      asm volatile(
          "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
          "{%0, %1, %2, %3};"
          : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
          : "r"(left.part[0]), "r"(left.part[1]), "r"(left.part[2]), "r"(left.part[3]), "r"(b0), "r"(b1));
    } else {
      asm volatile(
          "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
          "{%0, %1, %2, %3};"
          : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
          : "r"(left.part[0]), "r"(left.part[1]), "r"(left.part[2]), "r"(left.part[3]), "r"(b0), "r"(b1));
    }
  }
#else
  __trap();  // has_short_attention() is false
#endif
}

/// Writes 16 × 8 elements, rounded to T, to `matrix` from (row, column) on.
template <typename T>
__device__ void store(const Sums& sums, const SharedMatrix<T>& matrix, unsigned row, unsigned column) {
  const unsigned lane = tensor_cores::lane();
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    T* const to = matrix.row(row + lane / 4 + 8 * half) + column + 2 * (lane % 4);
    *reinterpret_cast<unsigned*>(to) = tensor_cores::pack(sums.at[2 * half], sums.at[2 * half + 1], T());
  }
}

}  // namespace trainyard
