/// The memory that the trainer and its workers share: one mapping with the control block and all batch slots.
///
///     Control | WorkerRecord × workers | queue | SlotRecord × slots | chunk words | ChunkError × chunks | left-out
///     marks | page slot 0: field 0, guard | page field 1, guard | ... | page rows, begins | page;  slot 1: ...
///
/// Only plain values and lock-free atomics live here, no pointer and no lock: a process may die at any instruction.
/// Who may write what, and when, is the protocol of tickets.h.
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

/// What the sizes of everything in the arena follow from.
struct ArenaShape {
  std::uint32_t workers = 0;                            ///< worker processes; 0: the trainer fills the slots itself
  std::uint32_t batch_size = 0;                         ///< samples a slot holds, at least 1
  std::uint32_t slots = 0;                              ///< at least 2
  std::uint32_t fields = 0;                             ///< of a sample, at most max_fields
  std::array<std::uint64_t, max_fields> field_bytes{};  ///< of a sample in the split where the field is largest

  std::uint32_t records() const { return workers == 0 ? 1 : workers; }
  /// Samples of a chunk, the unit of work: two chunks a worker and batch, so that a worker that is late by half its
  /// share of a batch is helped by the others, while a chunk stays long against the cost of claiming it.
  std::uint32_t chunk_size() const { return (batch_size + 2 * records() - 1) / (2 * records()); }
  std::uint32_t chunks() const { return (batch_size + chunk_size() - 1) / chunk_size(); }
};

/// Which samples belong into a slot: order(first), order(first + stride), ... of an epoch of a split.
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
  std::atomic<std::uint32_t> slots_reserved{0};  ///< so many, from the first on, have all of their memory
  std::atomic<std::uint32_t> slots_to_come{0};   ///< so many more are still to be reserved
  std::atomic<std::uint64_t> oldest{1};          ///< batches are numbered from 1 on; those before this one need no work
  std::atomic<std::uint64_t> published{1};       ///< the number that the next published batch gets
  alignas(64) std::atomic<std::uint32_t> work{0};  ///< futex: changes whenever there is new work
};

/// Written by one worker, read by the trainer: names the sample when the worker dies or hangs. A worker that takes a
/// dead one's place goes on counting in its record.
struct alignas(64) WorkerRecord {
  std::atomic<std::int32_t> pid{0};
  std::atomic<std::uint32_t> split{0};
  std::atomic<std::uint32_t> place{0};  ///< of the sample in its batch
  std::atomic<std::uint64_t> sample{0};
  std::atomic<std::int64_t> started_ns{0};  ///< CLOCK_MONOTONIC when it began this sample; 0: it reads none
  std::atomic<std::uint64_t> samples{0};    ///< samples read so far
  std::atomic<std::uint64_t> busy_ns{0};    ///< time spent on them
  std::atomic<std::uint64_t> retries{0};    ///< times that a sample was read again because `read` threw
};

struct alignas(64) SlotRecord {
  BatchRequest request;
  std::atomic<std::uint32_t> hint{0};  ///< chunks before this one are probably taken
};

/// Why a chunk failed, or why the first of its samples that were left out was. Valid once `written`, which goes back to
/// 0 when the slot gets another batch.
struct ChunkError {
  std::uint64_t sample;
  std::atomic<std::uint32_t> written;
  char text[1012];  ///< ends in a zero byte
};

static_assert(std::atomic<std::uint64_t>::is_always_lock_free && std::atomic<std::uint32_t>::is_always_lock_free);

/// Owns the mapping and knows where everything lies in it. Movable. All views stay valid for as long as it lives.
class Arena {
 public:
  /// In unnamed files in `directory` (/dev/shm), so that it is bounded by that mount and nothing can be left behind.
  /// Two slots may be used at once, though the memory of their fields is not reserved yet, but before Linux 5.14: see
  /// take_pages(). Throws as refuse() where there is no room for them.
  static Arena create(const ArenaShape& shape, const std::string& directory);
  /// Throws MachineError: the bytes that two slots need, the bytes that `directory` has, and what to do.
  [[noreturn]] static void refuse(const ArenaShape& shape, const std::string& directory);
  /// Reserves one more slot of those to come, so that no page of it can be missing later, which takes the kernel
  /// 0.1 ms a MiB; where it does not fit, there are none to come. For the process that created the arena.
  void reserve_slot();
  /// Before `part` of a slot's fields is written to: takes the memory for it where the slot has not been reserved yet,
  /// which many processes do at once for parts of their own, and, where it is `new_here`, to this process, maps it so
  /// that writing does not fault for each page. False where there is no room.
  [[nodiscard]] bool take_pages(std::uint32_t slot, std::span<std::byte> part, bool new_here) const;
  /// Takes the memory for a worker's share of the first batch, so that all of them do it at once, also where it has
  /// fewer chunks than there are workers; nothing once slots have been reserved. Where there is no room, take_pages()
  /// says so.
  void take_share(std::uint32_t worker) const;
  /// In memory of this process, with all of its slots, for a trainer without workers.
  static Arena create_private(const ArenaShape& shape);
  /// What an arena of this shape takes, with all slots or with two, in bytes.
  static std::size_t bytes(const ArenaShape& shape);
  static std::size_t least_bytes(const ArenaShape& shape);
  /// Another process's view of an arena made by create().
  static Arena attach(const StripedFile& file);

  /// What attach() needs; none in a worker.
  const StripedFile& file() const { return file_; }
  /// For a process that reserves no slots and shows the arena to nobody: it has no descriptors of it any more.
  void close_file() { file_ = StripedFile(); }

  const ArenaShape& shape() const { return control().shape; }
  /// The slots that may be used, from the first on.
  std::uint32_t slots_usable() const;
  /// Everything up to the last reserved slot, page-aligned.
  std::span<std::byte> memory() const { return mapping_.bytes().first(layout_.end_of(control().slots_reserved)); }

  Control& control() const;
  WorkerRecord& worker(std::uint32_t worker) const;
  /// Batch number modulo shape().slots → the slot it is in.
  std::atomic<std::uint32_t>& queue(std::uint64_t batch) const;
  SlotRecord& slot(std::uint32_t slot) const;
  std::span<std::atomic<std::uint64_t>> words(std::uint32_t slot) const;
  ChunkError& error(std::uint32_t slot, std::uint32_t chunk) const;
  /// One mark a sample: 1 where it is not to be read, because it was found that it cannot be.
  std::span<std::atomic<std::uint8_t>> left_out(std::uint32_t slot) const;
  /// Page-aligned. batch_size × field_bytes.
  std::span<std::byte> field(std::uint32_t slot, std::size_t field) const;
  /// Lies behind the field: a dataset that writes past its end changes it.
  std::uint64_t& guard(std::uint32_t slot, std::size_t field) const;
  /// How many rows of a field that varies each of the batch_size samples has, and in which each begins (batch_size +
  /// 1); in rows of Field::row_bytes().
  std::span<std::int64_t> rows(std::uint32_t slot, std::size_t field) const;
  std::span<std::int64_t> begins(std::uint32_t slot, std::size_t field) const;

 private:
  struct Layout {
    explicit Layout(const ArenaShape& shape);
    std::size_t end_of(std::uint32_t count) const { return data + count * slot_bytes; }  ///< of so many slots
    std::size_t workers, queue, slots, words, errors, left_out, data;
    // Within a slot:
    std::size_t field_count;
    std::array<std::size_t, max_fields + 1> fields;  ///< where each begins, and where the rows of the first do
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
