#include "loader/worker.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <string>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "loader/sample_order.h"
#include "util/clock.h"
#include "util/error.h"
#include "util/file_system.h"
#include "util/process_name.h"

namespace trainyard {
namespace {

// The position of a field of a chunk's samples.
struct Part {
  const Field* field;
  std::size_t row_bytes;
  std::span<std::byte> elements;  ///< of the whole slot
  // Only for a variable-length field:
  std::span<std::int64_t> rows;
  std::span<std::int64_t> begins;
  std::int64_t end_row = 0;  ///< end of the chunk's samples, and begin of the next chunk's
};

// Reads the samples of one chunk.
class ChunkReader {
 public:
  ChunkReader(const Arena& arena, const Claim& claim, std::span<const LoadedSplit> splits, const PoolOptions& options,
              WorkerRecord& record)
      : arena_(arena),
        slot_(claim.slot),
        request_(arena.slot(claim.slot).request),
        split_(splits[request_.split]),
        order_(options.seed, request_.epoch, split_.dataset->size(), request_.shuffle, &split_.by_class),
        left_out_(arena.left_out(claim.slot)),
        error_(arena.error(claim.slot, claim.chunk)),
        options_(options),
        record_(record),
        tries_(options.on_worker_error == OnWorkerError::stop ? 1 : max_tries),
        begin_(claim.chunk * arena.shape().chunk_size()),
        end_(std::min(begin_ + arena.shape().chunk_size(), request_.count)) {
    const std::vector<Field>& fields = split_.fields();
    parts_.reserve(fields.size());
    for (std::size_t i = 0; i < fields.size(); ++i) {
      Part part{.field = &fields[i],
                .row_bytes = fields[i].row_bytes(),
                .elements = arena.field(slot_, i),
                .rows = {},
                .begins = {}};
      if (fields[i].varies) {
        part.rows = arena.rows(slot_, i);
        part.begins = arena.begins(slot_, i);
      }
      parts_.push_back(part);
    }
    places_.resize(parts_.size());
  }

  // Reads all of them, in order; returns `failed` at the first that fails and must not be skipped. `is_new`: this
  // process has not written here before.
  ChunkState read(bool is_new) {
    record_.split.store(request_.split, std::memory_order_relaxed);
    if (begin_ >= request_.count) {
      if (begin_ == 0) end_empty_batch();
      return ChunkState::done;
    }
    if (!lay_out()) return ChunkState::failed;
    if (!take_pages(is_new)) return ChunkState::failed;
    for (std::uint32_t i = begin_; i < end_; ++i) {
      if (left_out_[i].load(std::memory_order_relaxed) == 0 && !read_or_leave_out(i)) return ChunkState::failed;
    }
    return ChunkState::done;
  }

 private:
  std::uint64_t position_of(std::uint32_t i) const { return request_.first + i * request_.stride; }
  std::uint64_t index_of(std::uint32_t i) const { return order_(position_of(i)); }

  void end_empty_batch() {
    for (const Part& part : parts_) {
      if (part.field->varies) part.begins[0] = 0;
    }
  }

  // Computes the positions of the chunk's samples. Returns false, with the chunk's error, if the collate hook violates
  // its contract.
  bool lay_out() {
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      Part& part = parts_[i];
      if (!part.field->varies) continue;
      if (!collate(i, part)) return false;
      if (end_ == request_.count) part.begins[end_] = part.end_row;
    }
    return true;
  }

  // Returns false, with the chunk's error, if there is not enough memory.
  bool take_pages(bool is_new) {
    std::string why;
    try {
      bool all = true;
      for (const Part& part : parts_) all = all && arena_.take_pages(slot_, bytes_of(part, begin_, end_), is_new);
      if (all) return true;
      why = fmt::format(
          "{} has become too full for its batch, with {} bytes free; start the container with --ipc=host or a larger "
          "--shm-size, or lower loader.batch_size",
          options_.directory, free_bytes(options_.directory, "loader"));
    } catch (const std::exception& e) {
      why = e.what();
    }
    note_error(error_, index_of(begin_), why);
    return false;
  }

  bool collate(std::size_t field, Part& part) {
    // For the whole batch; every worker computes the same layout.
    record_.place.store(begin_, std::memory_order_relaxed);
    record_.sample.store(index_of(begin_), std::memory_order_relaxed);
    record_.started_ns.store(coarse_monotonic_ns(), std::memory_order_release);
    std::vector<std::int64_t> rows(request_.count);
    for (std::uint32_t i = 0; i < request_.count; ++i) rows[i] = rows_or_none(field, index_of(i));
    std::vector<std::int64_t> begins(rows.size() + 1, -1);
    try {
      split_.dataset->collate(field, rows, begins);
      check(*part.field, rows, begins);
    } catch (const std::exception& e) {
      note_error(error_, index_of(begin_), e.what());
      return false;
    }
    std::copy(rows.begin() + begin_, rows.begin() + end_, part.rows.begin() + begin_);
    std::copy(begins.begin() + begin_, begins.begin() + end_, part.begins.begin() + begin_);
    part.end_row = begins[end_];
    return true;
  }

  static void check(const Field& field, const std::vector<std::int64_t>& rows,
                    const std::vector<std::int64_t>& begins) {
    const std::int64_t room = field.shape[0] * static_cast<std::int64_t>(rows.size());
    bool sound = begins[0] == 0 && begins.back() <= room;
    for (std::size_t i = 0; i < rows.size(); ++i) sound = sound && begins[i + 1] - begins[i] >= rows[i];
    if (sound) return;
    throw RunError("loader",
                   "collate() lets {} samples of {} rows of the field {} begin at {}; the first begins at 0, each has "
                   "its rows before the next, and all end at {} at most",
                   rows.size(), fmt::join(rows, " "), field.name, fmt::join(begins, " "), room);
  }

  // A sample whose row count is unavailable counts as having none; when it is read, the error is raised again and
  // reported.
  std::int64_t rows_or_none(std::size_t field, std::uint64_t index) const {
    try {
      return rows_of(field, index);
    } catch (...) {
      return 0;
    }
  }

  std::int64_t rows_of(std::size_t field, std::uint64_t index) const {
    const std::int64_t rows = split_.dataset->rows(field, index);
    const Field& of = *parts_[field].field;
    if (rows >= 0 && rows <= of.shape[0]) return rows;
    throw RunError("loader", "rows() of the field {} gives {}; a sample has 0 to {}", of.name, rows, of.shape[0]);
  }

  // The part of a variable-length field that read() has to fill; the rest is zeroed.
  std::span<std::byte> varying_part(std::size_t field, std::uint32_t i, std::uint64_t index) const {
    const Part& part = parts_[field];
    if (const std::int64_t rows = rows_of(field, index); rows != part.rows[i]) {
      throw RunError("loader", "rows() of the field {} gives {}, and gave {} before", part.field->name, rows,
                     part.rows[i]);
    }
    const std::span<std::byte> all = bytes_of(part, i, i + 1);
    const std::size_t filled = static_cast<std::size_t>(part.rows[i]) * part.row_bytes;
    std::ranges::fill(all.subspan(filled), std::byte{0});
    return all.first(filled);
  }

  // For the samples from `first` up to but excluding `end`, which belong to the chunk.
  std::span<std::byte> bytes_of(const Part& part, std::uint32_t first, std::uint32_t end) const {
    std::size_t row = first;
    std::size_t end_row = end;
    if (part.field->varies) {
      row = static_cast<std::size_t>(part.begins[first]);
      end_row = static_cast<std::size_t>(end == end_ ? part.end_row : part.begins[end]);
    }
    return part.elements.subspan(row * part.row_bytes, (end_row - row) * part.row_bytes);
  }

  bool read_or_leave_out(std::uint32_t i) {
    const std::uint64_t position = position_of(i);
    const std::uint64_t index = order_(position);
    record_.place.store(i, std::memory_order_relaxed);
    record_.sample.store(index, std::memory_order_relaxed);
    for (int left = tries_;;) {
      record_.started_ns.store(coarse_monotonic_ns(), std::memory_order_release);
      if (try_to_read(i, position, index)) break;
      if (--left == 0) {
        note_error(error_, index, failure_);
        if (options_.on_worker_error != OnWorkerError::skip) return false;
        left_out_[i].store(1, std::memory_order_release);
        break;
      }
      record_.retries.fetch_add(1, std::memory_order_relaxed);
    }
    // There is only one writer, so no atomic addition is needed.
    record_.samples.store(record_.samples.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    return true;
  }

  // Handles the common cases of values_error() without a call: nothing to check, or a single value in its range.
  static bool is_surely_valid(const Part& part, std::span<const std::byte> bytes) {
    std::int64_t label = 0;
    if (!part.field->values) return true;
    if (part.field->dtype != DType::int64 || bytes.size() != sizeof label) return false;
    std::memcpy(&label, bytes.data(), sizeof label);
    return label >= 0 && label < part.field->values->count;
  }

  bool try_to_read(std::uint32_t i, std::uint64_t position, std::uint64_t index) {
    try {
      // Locals, because a member would be read again after each write.
      const std::span<const Part> parts = parts_;
      const std::span<std::span<std::byte>> places = places_;
      for (std::size_t field = 0; field < places.size(); ++field) {
        const Part& part = parts[field];
        places[field] = part.field->varies ? varying_part(field, i, index)
                                           : part.elements.subspan(i * part.row_bytes, part.row_bytes);
      }
      split_.read(index, options_.seed, order_.random_key(position), places, request_.unmirrored);
      for (std::size_t field = 0; field < places.size(); ++field) {
        if (is_surely_valid(parts[field], places[field])) continue;
        check_values(*split_.dataset, index, field, *parts[field].field, places[field]);
      }
      return true;
    } catch (const std::exception& e) {
      failure_ = e.what();
    } catch (...) {
      failure_ = "something that is not a std::exception was thrown";
    }
    return false;
  }

  const Arena& arena_;
  std::uint32_t slot_;
  const BatchRequest& request_;
  const LoadedSplit& split_;
  SampleOrder order_;
  std::vector<Part> parts_;                   ///< one per field
  std::vector<std::span<std::byte>> places_;  ///< of the current sample's fields
  std::span<std::atomic<std::uint8_t>> left_out_;
  ChunkError& error_;
  const PoolOptions& options_;
  WorkerRecord& record_;
  int tries_;
  std::uint32_t begin_;
  std::uint32_t end_;
  std::string failure_;
};

}  // namespace

void note_error(ChunkError& error, std::uint64_t sample, std::string_view text) {
  if (error.written.load(std::memory_order_relaxed) != 0) return;  // only the first error is kept
  error.sample = sample;
  const std::size_t length = std::min(text.size(), sizeof error.text - 1);
  std::memcpy(error.text, text.data(), length);
  error.text[length] = '\0';
  error.written.store(1, std::memory_order_release);
}

Worker::Worker(const Arena& arena, std::span<const LoadedSplit> splits, const PoolOptions& options,
               std::uint32_t number)
    : arena_(arena),
      splits_(splits),
      options_(options),
      number_(number),
      mapped_(std::size_t{arena.shape().slots} * arena.shape().chunks()) {}

bool Worker::fill_one_chunk(bool* settled_batch) {
  Tickets tickets(arena_);
  const std::optional<Claim> claim = tickets.claim(number_);
  if (!claim) return false;

  WorkerRecord& record = arena_.worker(number_);
  const std::int64_t began = monotonic_ns();
  const ChunkState state = ChunkReader(arena_, *claim, splits_, options_, record).read(is_new(*claim));
  record.started_ns.store(0, std::memory_order_release);
  record.busy_ns.fetch_add(static_cast<std::uint64_t>(monotonic_ns() - began), std::memory_order_relaxed);
  const bool settled = tickets.settle(*claim, number_, state);
  if (settled_batch != nullptr) *settled_batch = settled;
  return true;
}

bool Worker::is_new(const Claim& claim) {
  const std::size_t chunk = std::size_t{claim.slot} * arena_.shape().chunks() + claim.chunk;
  const bool is_new = !mapped_[chunk];
  mapped_[chunk] = true;
  return is_new;
}

void run_worker(const Arena& arena, std::span<const LoadedSplit> splits, const PoolOptions& options,
                std::uint32_t number, pid_t parent, int ready_fd) noexcept {
  constexpr int lower_priority = 5;  // if training uses all cores, its threads have priority
  constexpr int seconds_between_looks_at_parent = 5;
  set_process_name(fmt::format("loader {}/{}", number + 1, arena.shape().workers));
  setpriority(PRIO_PROCESS, 0, lower_priority);

  const Tickets tickets(arena);
  Worker worker(arena, splits, options, number);
  arena.take_share(number);
  while (getppid() == parent) {
    const std::uint32_t seen = tickets.work_seen();
    bool settled_batch = false;
    while (worker.fill_one_chunk(&settled_batch)) {
      if (settled_batch) eventfd_write(ready_fd, 1);
    }
    tickets.wait_for_work(seen, seconds_between_looks_at_parent);
  }
  _exit(0);
}

}  // namespace trainyard
