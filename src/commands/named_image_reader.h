/// Reads images by name through the loader's workers. Names are added while the workers run, so that a list may be
/// endless; images are returned in the order of their names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "images/decode_image.h"
#include "loader/worker_pool.h"

namespace trainyard {

struct NamedImage {
  std::string name;
  std::string error;                  ///< why it cannot be read; empty: no error
  std::span<const std::byte> pixels;  ///< height × width × channels, uint8; empty on error
};

/// Images and the right to read their pixels. The reader must outlive it.
struct ImageBatch {
  SlotLease lease;
  std::vector<NamedImage> images;
};

struct NamedImageOptions {
  std::vector<std::int64_t> shape;      ///< height, width, channels of the images returned
  std::vector<std::string> transforms;  ///< applied to each image, which is then resized to `shape` if its size differs
  ImageOptions image;
};

/// Names in memory shared with the workers, one row per batch; next to each name, the error of its image.
class SharedNames {
 public:
  /// Throws RunError.
  SharedNames(std::size_t rows, std::size_t per_row);

  std::size_t size() const;
  /// REQUIRES that `name` has at most PATH_MAX bytes.
  void set_name(std::size_t place, std::string_view name) const;
  std::string name(std::size_t place) const;
  /// Truncates `error` if necessary, but keeps at least PATH_MAX bytes.
  void set_error(std::size_t place, std::string_view error) const;
  std::string error(std::size_t place) const;

 private:
  struct Record;
  std::span<Record> records() const;

  Mapping memory_;
};

/// Collects one batch at a time; hands batches to the workers when they are complete, or on flush(). Not thread-safe.
/// An image that cannot be read is returned with its error; one that kills or hangs its worker is handled as with
/// OnWorkerError::skip (loader/worker_pool.h).
class NamedImageReader {
 public:
  /// Forks if there are workers: see Zygote for what that REQUIRES. Ignores the cache and on_worker_error of `pool`.
  /// Throws what WorkerPool throws.
  NamedImageReader(const PoolOptions& pool, const NamedImageOptions& images);

  /// Whether take() must be called before the next add().
  bool is_full();
  /// REQUIRES !is_full() and that `name` has at most PATH_MAX bytes.
  void add(std::string_view name);
  /// Hands an incomplete batch to the workers.
  void flush();
  /// Waits for the earliest batch handed to the workers; returns none if there is none. Throws RunError like
  /// WorkerPool::take.
  std::optional<ImageBatch> take();

 private:
  struct Row {
    std::size_t number;
    std::uint32_t count;
  };

  PoolOptions options_;
  std::size_t rows_;
  SharedNames names_;
  WorkerPool pool_;
  std::vector<Row> handed_over_;  ///< in order
  std::size_t row_ = 0;           ///< being collected
  std::uint32_t gathered_ = 0;
};

}  // namespace trainyard
