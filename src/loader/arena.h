/// The memory shared by the trainer and its workers: one mapping with the control block and all batch slots.
///
///     Control | WorkerRecord × workers | queue | SlotRecord × slots | chunk words | ChunkError × chunks | left-out
///     marks | page slot 0: field 0, guard | page field 1, guard | ... | page rows, begins | page;  slot 1: ...
///
/// The arena holds only plain values and lock-free atomics, no pointers and no locks: a process may die at any
/// instruction. The protocol in tickets.h defines who may write what, and when.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "datasets/dataset.h"
#include "loader/striped_file.h"
#include "util/system.h"

namespace trainyard {

/// Determines the size of everything in the arena.
struct ArenaShape {
  std::uint32_t workers = 0;                            ///< worker processes; 0: the trainer fills the slots itself
  std::uint32_t batch_size = 0;                         ///< samples per slot, at least 1
  std::uint32_t slots = 0;                              ///< at least 2
  std::uint32_t fields = 0;                             ///< per sample, at most max_fields
  std::array<std::uint64_t, max_fields> field_bytes{};  ///< per sample, in the split where the field is largest

  std::uint32_t records() const { return workers == 0 ? 1 : workers; }
  /// Samples per chunk, the unit of work. There are two chunks per worker and batch, so that the others can help a
  /// worker that lags by half its share of a batch, while a chunk still takes long compared to the cost of claiming it.
  std::uint32_t chunk_size() const { return (batch_size + 2 * records() - 1) / (2 * records()); }
  std::uint32_t chunks() const { return (batch_size + chunk_size() - 1) / chunk_size(); }
};

/// The samples of a slot: order(first), order(first + stride), ... of an epoch of a split.
struct BatchRequest {
  std::uint64_t epoch = 0;
  std::uint64_t first = 0;
  std::uint64_t stride = 1;
  std::uint32_t count = 0;
  std::uint32_t split = 0;
  bool shuffle = false;
  bool unmirrored = false;  ///< see DataLoaderOptions
};

struct alignas(64) Control {
  ArenaShape shape;
  std::atomic<std::uint32_t> slots_reserved{0};    ///< the first so many slots have all of their memory
  std::atomic<std::uint32_t> slots_to_come{0};     ///< slots that are still to be reserved
  std::atomic<std::uint64_t> oldest{1};            ///< batches are numbered from 1; earlier ones need no work
  std::atomic<std::uint64_t> published{1};         ///< the number of the next batch to be published
  alignas(64) std::atomic<std::uint32_t> work{0};  ///< futex: changes whenever there is new work
};

/// Written by one worker and read by the trainer, which names the sample if the worker dies or hangs. The replacement
/// of a dead worker continues the counts in its record.
struct alignas(64) WorkerRecord {
  std::atomic<std::int32_t> pid{0};
  std::atomic<std::uint32_t> split{0};
  std::atomic<std::uint32_t> place{0};  ///< position of the sample in its batch
  std::atomic<std::uint64_t> sample{0};
  std::atomic<std::int64_t> started_ns{0};  ///< CLOCK_MONOTONIC at the start of this sample; 0: not reading
  std::atomic<std::uint64_t> samples{0};    ///< samples read so far
  std::atomic<std::uint64_t> busy_ns{0};    ///< time spent reading them
  std::atomic<std::uint64_t> retries{0};    ///< times a sample was read again because `read` threw
};

struct alignas(64) SlotRecord {
  BatchRequest request;
  std::atomic<std::uint32_t> hint{0};  ///< earlier chunks are probably taken
};

/// Why a chunk failed, or why the first of its skipped samples could not be read. Valid once `written` is set; it is
/// reset to 0 when the slot gets another batch.
struct ChunkError {
  std::uint64_t sample;
  std::atomic<std::uint32_t> written;
  char text[1012];  ///< zero-terminated
};

static_assert(std::atomic<std::uint64_t>::is_always_lock_free && std::atomic<std::uint32_t>::is_always_lock_free);

/// Owns the mapping and computes the addresses of everything in it. Movable. All views are valid for its lifetime.
class Arena {
 public:
  /// Creates the arena in unnamed files in `directory` (/dev/shm): that mount limits its size, and nothing can be left
  /// behind. Two slots may be used immediately; the memory of their fields is not reserved yet, except before Linux
  /// 5.14: see take_pages(). Throws like refuse() if two slots do not fit.
  static Arena create(const ArenaShape& shape, const std::string& directory);
  /// Throws MachineError with the bytes that two slots need, the bytes free in `directory`, and what to do.
  [[noreturn]] static void refuse(const ArenaShape& shape, const std::string& directory);
  /// Reserves one more of the slots to come, so that none of its pages can be missing later. This takes the kernel 0.1
  /// ms per MiB. If it does not fit, no more slots will come. Only for the process that created the arena.
  void reserve_slot();
  /// Call before writing to `part` of a slot's fields. Allocates its memory if the slot has not been reserved yet; many
  /// processes may do so at once, each for its own part. If the part is `new_here`, i.e. new to this process, also maps
  /// it, so that writing does not fault on each page. Returns false if there is not enough memory.
  [[nodiscard]] bool take_pages(std::uint32_t slot, std::span<std::byte> part, bool new_here) const;
  /// Allocates the memory for a worker's share of the first batch, so that all workers allocate at once, even if the
  /// batch has fewer chunks than there are workers. Does nothing once slots have been reserved. If there is not enough
  /// memory, take_pages() reports it.
  void take_share(std::uint32_t worker) const;
  /// Creates an arena with all of its slots in this process's memory, for a trainer without workers.
  static Arena create_private(const ArenaShape& shape);
  /// Size in bytes of an arena of this shape, with all slots or with two.
  static std::size_t bytes(const ArenaShape& shape);
  static std::size_t least_bytes(const ArenaShape& shape);
  /// Maps an arena that another process made with create().
  static Arena attach(const StripedFile& file);

  /// What attach() needs; empty in a worker.
  const StripedFile& file() const { return file_; }
  /// Closes the descriptors, for a process that reserves no slots and does not pass the arena on.
  void close_file() { file_ = StripedFile(); }

  const ArenaShape& shape() const { return control().shape; }
  /// The number of slots that may be used, from the first.
  std::uint32_t slots_usable() const;
  /// Everything up to the last reserved slot, page-aligned.
  std::span<std::byte> memory() const { return mapping_.bytes().first(layout_.end_of(control().slots_reserved)); }

  Control& control() const;
  WorkerRecord& worker(std::uint32_t worker) const;
  /// The slot of a batch; the index is the batch number modulo shape().slots.
  std::atomic<std::uint32_t>& queue(std::uint64_t batch) const;
  SlotRecord& slot(std::uint32_t slot) const;
  std::span<std::atomic<std::uint64_t>> words(std::uint32_t slot) const;
  ChunkError& error(std::uint32_t slot, std::uint32_t chunk) const;
  /// One mark per sample: 1 if it must not be read, because earlier attempts failed.
  std::span<std::atomic<std::uint8_t>> left_out(std::uint32_t slot) const;
  /// Page-aligned. batch_size × field_bytes.
  std::span<std::byte> field(std::uint32_t slot, std::size_t field) const;
  /// Directly behind the field: a dataset that writes past the field's end changes it.
  std::uint64_t& guard(std::uint32_t slot, std::size_t field) const;
  /// For a variable-length field: the number of rows of each of the batch_size samples, and the row in which each
  /// begins (batch_size + 1 values). In units of Field::row_bytes().
  std::span<std::int64_t> rows(std::uint32_t slot, std::size_t field) const;
  std::span<std::int64_t> begins(std::uint32_t slot, std::size_t field) const;

 private:
  struct Layout {
    explicit Layout(const ArenaShape& shape);
    std::size_t end_of(std::uint32_t count) const { return data + count * slot_bytes; }  ///< of the first `count` slots
    std::size_t workers, queue, slots, words, errors, left_out, data;
    // Within a slot:
    std::size_t field_count;
    std::array<std::size_t, max_fields + 1> fields;  ///< where each field begins, and the rows of the first
    std::array<std::size_t, max_fields> guards;
    std::size_t slot_bytes;
  };

  Arena(Mapping mapping, StripedFile file, const ArenaShape& shape);
  void begin(const ArenaShape& shape, std::uint32_t reserved);
  bool reserve_all_but_fields(std::uint32_t slot) const;

  template <typename T>
  T* at(std::size_t offset) const;

  Mapping mapping_;
  StripedFile file_;
  Layout layout_;
};

}  // namespace trainyard
