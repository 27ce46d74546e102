#include "loader/arena.h"

#include <algorithm>
#include <memory>

#include "util/count_of.h"
#include "util/error.h"
#include "util/file_system.h"

namespace trainyard {
namespace {

constexpr std::size_t cache_line = 64;
constexpr std::size_t page = 4096;
constexpr std::uint32_t least_slots = 2;

// Words per variable-length field: the rows of each sample, and where they begin.
constexpr std::size_t row_words(const ArenaShape& shape) { return 2 * std::size_t{shape.batch_size} + 1; }

constexpr std::size_t round_up(std::size_t n, std::size_t unit) { return (n + unit - 1) / unit * unit; }

}  // namespace

Arena::Layout::Layout(const ArenaShape& shape) {
  workers = round_up(sizeof(Control), cache_line);
  queue = workers + shape.records() * sizeof(WorkerRecord);
  slots = round_up(queue + shape.slots * sizeof(std::atomic<std::uint32_t>), cache_line);
  words = slots + shape.slots * sizeof(SlotRecord);
  // Each slot's words start on their own cache line, so that finishing one batch does not disturb another.
  errors = words + shape.slots * round_up(shape.chunks() * sizeof(std::uint64_t), cache_line);
  left_out = errors + std::size_t{shape.slots} * shape.chunks() * sizeof(ChunkError);
  data = round_up(left_out + std::size_t{shape.slots} * shape.batch_size, page);
  field_count = shape.fields;
  fields = {};
  guards = {};
  for (std::size_t i = 0; i < shape.fields; ++i) {
    guards[i] = fields[i] + round_up(shape.batch_size * shape.field_bytes[i], sizeof(std::uint64_t));
    fields[i + 1] = round_up(guards[i] + sizeof(std::uint64_t), page);
  }
  slot_bytes = round_up(fields[shape.fields] + shape.fields * row_words(shape) * sizeof(std::int64_t), page);
}

Arena::Arena(Mapping mapping, StripedFile file, const ArenaShape& shape)
    : mapping_(std::move(mapping)), file_(std::move(file)), layout_(shape) {}

Arena Arena::create(const ArenaShape& shape, const std::string& directory) {
  StripedFile file(directory, bytes(shape));
  // Without this check, a first batch that does not fit would be detected only while it is read.
  if (free_bytes(directory, "loader") < least_bytes(shape)) refuse(shape, directory);
  Mapping mapping = file.map();
  Arena arena(std::move(mapping), std::move(file), shape);
  if (!arena.file_.reserve(0, arena.layout_.data)) refuse(shape, directory);
  for (std::uint32_t slot = 0; slot < least_slots; ++slot) {
    if (!arena.reserve_all_but_fields(slot)) refuse(shape, directory);
  }
  arena.begin(shape, 0);
  if (!map_pages(arena.mapping_.bytes().first(page))) {  // before Linux 5.14 pages cannot be allocated later
    const Control& control = arena.control();
    while (control.slots_reserved < least_slots && control.slots_to_come > 0) arena.reserve_slot();
    if (control.slots_reserved < least_slots) refuse(shape, directory);
  }
  return arena;
}

void Arena::refuse(const ArenaShape& shape, const std::string& directory) {
  throw MachineError("loader",
                     "{} has {} bytes free, {} are needed for two batches of {}; start the container with "
                     "--ipc=host or --shm-size={}m, or lower loader.batch_size, or set loader.workers = 0 "
                     "(shared-memory-small)",
                     directory, free_bytes(directory, "loader"), least_bytes(shape),
                     count_of(shape.batch_size, "sample"), round_up(bytes(shape), 1 << 20) >> 20);
}

Arena Arena::create_private(const ArenaShape& shape) {
  Arena arena(Mapping::anonymous(bytes(shape), "loader"), StripedFile(), shape);
  arena.begin(shape, shape.slots);
  return arena;
}

void Arena::begin(const ArenaShape& shape, std::uint32_t reserved) {
  Control& control = *std::construct_at(at<Control>(0));
  control.shape = shape;
  control.slots_reserved = reserved;
  control.slots_to_come = shape.slots - reserved;
}

void Arena::reserve_slot() {
  Control& control = this->control();
  const std::uint32_t reserved = control.slots_reserved;
  if (!file_.reserve(layout_.end_of(reserved), layout_.slot_bytes)) {
    control.slots_to_come = 0;
    return;
  }
  control.slots_reserved = reserved + 1;
  --control.slots_to_come;
}

bool Arena::reserve_all_but_fields(std::uint32_t slot) const {
  const std::size_t begin = layout_.end_of(slot);
  for (std::size_t i = 0; i < layout_.field_count; ++i) {
    const std::size_t end = i + 1 < layout_.field_count ? layout_.fields[i + 1] : layout_.slot_bytes;
    if (!file_.reserve(begin + layout_.guards[i], end - layout_.guards[i])) return false;
  }
  return true;
}

bool Arena::take_pages(std::uint32_t slot, std::span<std::byte> part, bool new_here) const {
  constexpr std::size_t worth_a_call = 1 << 20;  // otherwise each page faults: a third of the time of a copy
  const bool reserved = slot < control().slots_reserved;
  if (reserved && (!new_here || part.size() < worth_a_call)) return true;
  return map_pages(part) || reserved;
}

void Arena::take_share(std::uint32_t worker) const {
  if (control().slots_reserved > 0) return;
  for (std::size_t i = 0; i < shape().fields; ++i) {
    const std::span<std::byte> first = field(0, i);
    const std::size_t share = round_up(first.size() / shape().workers + 1, page);
    const std::size_t begin = std::min(worker * share, first.size());
    if (begin == first.size()) continue;
    static_cast<void>(map_pages(first.subspan(begin, std::min(share, first.size() - begin))));
  }
}

std::uint32_t Arena::slots_usable() const { return std::max(least_slots, control().slots_reserved.load()); }

std::size_t Arena::bytes(const ArenaShape& shape) { return Layout(shape).end_of(shape.slots); }
std::size_t Arena::least_bytes(const ArenaShape& shape) { return Layout(shape).end_of(least_slots); }

Arena Arena::attach(const StripedFile& file) {
  Mapping mapping = file.map();
  const ArenaShape shape = reinterpret_cast<const Control*>(mapping.bytes().data())->shape;
  return {std::move(mapping), StripedFile(), shape};
}

// Memory in which nothing was constructed is zero, which is a valid value of every type in the arena.
template <typename T>
T* Arena::at(std::size_t offset) const {
  return reinterpret_cast<T*>(mapping_.bytes().data() + offset);
}

Control& Arena::control() const { return *at<Control>(0); }

WorkerRecord& Arena::worker(std::uint32_t worker) const { return at<WorkerRecord>(layout_.workers)[worker]; }

std::atomic<std::uint32_t>& Arena::queue(std::uint64_t batch) const {
  return at<std::atomic<std::uint32_t>>(layout_.queue)[batch % shape().slots];
}

SlotRecord& Arena::slot(std::uint32_t slot) const { return at<SlotRecord>(layout_.slots)[slot]; }

std::span<std::atomic<std::uint64_t>> Arena::words(std::uint32_t slot) const {
  const std::size_t stride = round_up(shape().chunks() * sizeof(std::uint64_t), cache_line);
  return {at<std::atomic<std::uint64_t>>(layout_.words + slot * stride), shape().chunks()};
}

ChunkError& Arena::error(std::uint32_t slot, std::uint32_t chunk) const {
  return at<ChunkError>(layout_.errors)[std::size_t{slot} * shape().chunks() + chunk];
}

std::span<std::atomic<std::uint8_t>> Arena::left_out(std::uint32_t slot) const {
  return {at<std::atomic<std::uint8_t>>(layout_.left_out + std::size_t{slot} * shape().batch_size), shape().batch_size};
}

std::span<std::byte> Arena::field(std::uint32_t slot, std::size_t field) const {
  return {at<std::byte>(layout_.end_of(slot) + layout_.fields[field]), shape().batch_size * shape().field_bytes[field]};
}

std::uint64_t& Arena::guard(std::uint32_t slot, std::size_t field) const {
  return *at<std::uint64_t>(layout_.end_of(slot) + layout_.guards[field]);
}

std::span<std::int64_t> Arena::rows(std::uint32_t slot, std::size_t field) const {
  const std::size_t words = layout_.end_of(slot) + layout_.fields[shape().fields];
  return {at<std::int64_t>(words) + field * row_words(shape()), shape().batch_size};
}

std::span<std::int64_t> Arena::begins(std::uint32_t slot, std::size_t field) const {
  const std::span<std::int64_t> rows = this->rows(slot, field);
  return {rows.data() + rows.size(), rows.size() + 1};
}

}  // namespace trainyard
