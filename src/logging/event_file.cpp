#include "logging/event_file.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <chrono>
#include <cstring>
#include <optional>
#include <string>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "logging/append.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;

static_assert(std::endian::native == std::endian::little, "numbers are written as they lie in memory");

constexpr std::string_view prefix = "events.out.tfevents.";
constexpr std::string_view suffix = ".trainyard";

constexpr std::array<std::uint32_t, 256> make_crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (0x82f63b78u & (0 - (crc & 1)));
    table[i] = crc;
  }
  return table;
}

std::uint32_t masked_crc(std::string_view bytes) {
  return std::rotr(crc32c(std::as_bytes(std::span(bytes))), 15) + 0xa282ead8u;
}

template <typename Number>
std::string bytes_of(Number value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

template <typename Number>
Number number_at(std::string_view bytes) {
  Number value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

std::string varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  return bytes + static_cast<char>(value);
}

// A protobuf field: its number and wire type (0 varint, 1 fixed 64 bits, 2 length-delimited, 5 fixed 32 bits), its
// value.
std::string field(unsigned number, double value) { return varint(number << 3 | 1) + bytes_of(value); }
std::string field(unsigned number, float value) { return varint(number << 3 | 5) + bytes_of(value); }
std::string field(unsigned number, std::int64_t value) {
  return varint(number << 3) + varint(static_cast<std::uint64_t>(value));
}
std::string field(unsigned number, std::string_view value) {
  return (varint(number << 3 | 2) + varint(value.size())).append(value);
}

std::string event(std::int64_t step, const std::string& what) {
  const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
  return field(1, now.count()) + field(2, step) + what;
}

// The step of an Event with the layout of event().
std::optional<std::int64_t> step_of(std::string_view event) {
  constexpr std::size_t step_field = 10;  // after wall_time and its own tag
  if (event.size() <= step_field || event[0] != (1 << 3 | 1) || event[step_field - 1] != 2 << 3) return std::nullopt;
  std::uint64_t step = 0;
  for (std::size_t i = step_field, shift = 0; i < event.size() && shift < 63; ++i, shift += 7) {
    step |= std::uint64_t{static_cast<unsigned char>(event[i])} << shift & ~(std::uint64_t{0x80} << shift);
    if ((event[i] & 0x80) == 0) return static_cast<std::int64_t>(step);
  }
  return std::nullopt;
}

// The data of the first record in `file`; none for a torn one.
std::optional<std::string_view> first_record(std::string_view file) {
  constexpr std::size_t length_bytes = 8;
  constexpr std::size_t crc_bytes = 4;
  if (file.size() < length_bytes + 2 * crc_bytes) return std::nullopt;
  const auto length = number_at<std::uint64_t>(file);
  if (masked_crc(file.substr(0, length_bytes)) != number_at<std::uint32_t>(file.substr(length_bytes)) ||
      length > file.size() - length_bytes - 2 * crc_bytes) {
    return std::nullopt;
  }
  const std::string_view data = file.substr(length_bytes + crc_bytes, length);
  if (masked_crc(data) != number_at<std::uint32_t>(file.substr(length_bytes + crc_bytes + length))) return std::nullopt;
  return data;
}

// Truncates in place: a TensorBoard that follows the file stays at its end, and finds the next part in a separate file.
void cut_after(const fs::path& path, std::int64_t last_step) {
  const std::string text = read_text_file(path.string(), "metrics");
  std::string_view rest = text;
  while (const std::optional<std::string_view> data = first_record(rest)) {
    const std::optional<std::int64_t> step = step_of(*data);
    if (!step || *step > last_step) break;
    rest.remove_prefix(data->size() + 16);
  }
  if (!rest.empty()) {
    check_call(truncate(path.c_str(), static_cast<off_t>(text.size() - rest.size())), "metrics", "truncate",
               path.string());
  }
}

// The number in the name of a file; 0 if it has none.
std::int64_t number_of(std::string_view name) {
  std::int64_t number = 0;
  std::from_chars(name.data() + prefix.size(), name.data() + name.size() - suffix.size(), number);
  return std::min(number, std::int64_t{9'999'999'998});  // of ten digits, like its successor
}

}  // namespace

std::uint32_t crc32c(std::span<const std::byte> bytes) {
  static constexpr std::array<std::uint32_t, 256> crc_table = make_crc_table();
  std::uint32_t crc = ~0u;
  for (const std::byte byte : bytes) crc = crc_table[(crc ^ std::to_integer<std::uint32_t>(byte)) & 0xff] ^ (crc >> 8);
  return ~crc;
}

EventFile::EventFile(const fs::path& folder, std::int64_t last_step) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  std::int64_t number = std::chrono::duration_cast<std::chrono::seconds>(now).count();
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(prefix) || !name.ends_with(suffix)) continue;
    if (last_step > 0) {
      cut_after(entry.path(), last_step);
      number = std::max(number, number_of(name) + 1);  // TensorBoard reads files in this order, whatever the clock says
    } else {
      fs::remove(entry.path());
    }
  }
  path_ = folder / fmt::format("{}{:010}{}", prefix, number, suffix);
  fd_ = open_regular_file(path_.string(), "metrics", O_WRONLY | O_APPEND | O_CREAT);
  append(event(last_step, field(3, std::string_view("brain.Event:2"))));
  append(event(last_step + 1, field(7, field(1, std::int64_t{1}))));
}

void EventFile::add(std::int64_t step, const std::vector<Scalar>& scalars) {
  std::string summary;
  for (const auto& [tag, value] : scalars) {
    summary += field(1, field(1, tag) + field(2, static_cast<float>(value)));
  }
  append(event(step, field(5, summary)));
}

void EventFile::append(std::string_view event) {
  const std::string length = bytes_of(std::uint64_t{event.size()});
  std::string record = length + bytes_of(masked_crc(length));
  record.append(event).append(bytes_of(masked_crc(event)));
  append_record(fd_.get(), record, path_.string());
}

}  // namespace trainyard
