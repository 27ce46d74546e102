/// Reads pictures by name through the loader's workers: names are added while the workers run, so that a list may be
/// endless, and pictures come back in the order of their names.
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

struct NamedPicture {
  std::string name;
  std::string error;                  ///< why it cannot be read; empty: it was read
  std::span<const std::byte> pixels;  ///< height × width × channels, uint8; empty if it cannot be read
};

/// Pictures and the right to read their pixels. The reader must outlive it.
struct PictureBatch {
  SlotLease lease;
  std::vector<NamedPicture> pictures;
};

struct PictureOptions {
  std::vector<std::int64_t> shape;      ///< height, width, channels of what is returned
  std::vector<std::string> transforms;  ///< applied to each; it is then scaled to `shape` if it has another size
  ImageOptions image;
};

/// Names in memory that the workers share, in rows of one batch each; beside each name the error of its picture.
class SharedNames {
 public:
  /// Throws RunError.
  SharedNames(std::size_t rows, std::size_t per_row);

  std::size_t size() const;
  /// REQUIRES at most PATH_MAX bytes.
  void set_name(std::size_t place, std::string_view name) const;
  std::string name(std::size_t place) const;
  /// Keeps as much of it as there is room for, at least PATH_MAX bytes.
  void set_error(std::size_t place, std::string_view error) const;
  std::string error(std::size_t place) const;

 private:
  struct Record;
  std::span<Record> records() const;

  Mapping memory_;
};

/// One batch is gathered at a time; batches are handed to the workers when they are complete, or by flush(). For one
/// thread. A picture that cannot be read is returned with its error; what happens to one that kills or hangs its worker
/// is OnWorkerError::skip (loader/worker_pool.h).
class PictureReader {
 public:
  /// With workers, forks: see Zygote for what that REQUIRES. Of `pool`, the cache and on_worker_error are not used.
  /// Throws as WorkerPool does.
  PictureReader(const PoolOptions& pool, const PictureOptions& pictures);

  /// Whether take() must come before the next add().
  bool is_full();
  /// REQUIRES !is_full(), and at most PATH_MAX bytes.
  void add(std::string_view name);
  /// Hands over an incomplete batch.
  void flush();
  /// Waits for the earliest batch that was handed over; none if there is none. Throws RunError as WorkerPool::take.
  std::optional<PictureBatch> take();

 private:
  struct Row {
    std::size_t number;
    std::uint32_t count;
  };

  PoolOptions options_;
  std::size_t rows_;
  SharedNames names_;
  WorkerPool pool_;
  std::vector<Row> handed_over_;  ///< in order, few
  std::size_t row_ = 0;           ///< that is being gathered
  std::uint32_t gathered_ = 0;
};

}  // namespace trainyard
