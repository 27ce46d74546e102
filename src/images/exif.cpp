#include "images/exif.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>

#include "images/decode_image.h"

namespace trainyard {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view exif_header = "Exif\0\0"sv;

/// Reads integers in either byte order; nullopt if one is out of bounds.
class Numbers {
 public:
  Numbers(std::span<const std::byte> bytes, bool big_endian) : bytes_(bytes), big_endian_(big_endian) {}

  std::optional<std::uint64_t> at(std::uint64_t offset, std::uint64_t size) const {
    if (offset > bytes_.size() || size > bytes_.size() - offset) return std::nullopt;
    std::uint64_t value = 0;
    for (std::uint64_t i = 0; i < size; ++i) {
      value = value << 8 | std::to_integer<std::uint64_t>(bytes_[offset + (big_endian_ ? i : size - 1 - i)]);
    }
    return value;
  }

 private:
  std::span<const std::byte> bytes_;
  bool big_endian_;
};

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Parses the content of EXIF's JPEG segment: a TIFF file, whose first directory has the orientation.
int orientation_in_tiff(std::span<const std::byte> tiff) {
  constexpr std::uint64_t orientation_tag = 0x0112;
  constexpr std::uint64_t entry_bytes = 12;
  constexpr std::uint64_t short_type = 3;
  constexpr std::uint64_t long_type = 4;
  const std::string_view begin = text_of(tiff.first(std::min<std::size_t>(tiff.size(), 4)));
  if (begin != "II*\0"sv && begin != "MM\0*"sv) return 1;
  const Numbers numbers(tiff, begin[0] == 'M');
  const std::uint64_t directory = numbers.at(4, 4).value_or(tiff.size());
  const std::uint64_t entries = numbers.at(directory, 2).value_or(0);
  for (std::uint64_t i = 0; i < entries; ++i) {
    const std::uint64_t entry = directory + 2 + i * entry_bytes;
    const auto tag = numbers.at(entry, 2);
    if (!tag) return 1;
    if (tag != orientation_tag) continue;
    const auto type = numbers.at(entry + 2, 2);
    if ((type != short_type && type != long_type) || numbers.at(entry + 4, 4) != 1) return 1;
    const std::uint64_t value = numbers.at(entry + 8, type == short_type ? 2 : 4).value_or(1);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

int orientation_in_exif(std::span<const std::byte> exif) {
  return orientation_in_tiff(text_of(exif).starts_with(exif_header) ? exif.subspan(exif_header.size()) : exif);
}

int orientation_in_jpeg(std::span<const std::byte> file) {
  constexpr std::uint64_t app1 = 0xe1;
  constexpr std::uint64_t start_of_scan = 0xda;
  const Numbers numbers(file, /*big_endian=*/true);
  for (std::uint64_t at = 2; numbers.at(at, 1) == 0xff;) {
    const std::uint64_t marker = numbers.at(at + 1, 1).value_or(start_of_scan);
    if (marker == 0xff) {  // a fill byte
      ++at;
      continue;
    }
    const std::uint64_t size = numbers.at(at + 2, 2).value_or(0);  // including its own two bytes
    if (marker == start_of_scan || size < 2 || size > file.size() - (at + 2)) return 1;
    const auto content = file.subspan(at + 4, size - 2);
    if (marker == app1 && text_of(content).starts_with(exif_header)) return orientation_in_exif(content);
    at += 2 + size;
  }
  return 1;
}

int orientation_in_png(std::span<const std::byte> file) {
  constexpr std::uint64_t signature_bytes = 8;
  constexpr std::uint64_t around = 12;  // the size of a chunk's length, name and checksum
  const Numbers numbers(file, /*big_endian=*/true);
  for (std::uint64_t at = signature_bytes; numbers.at(at, around);) {
    const std::uint64_t size = numbers.at(at, 4).value_or(0);
    if (size > file.size() - at - around) return 1;
    if (text_of(file.subspan(at + 4, 4)) == "eXIf") return orientation_in_exif(file.subspan(at + 8, size));
    at += around + size;
  }
  return 1;
}

}  // namespace

int exif_orientation(std::span<const std::byte> file) {
  if (is_jpeg(file)) return orientation_in_jpeg(file);
  if (is_png(file)) return orientation_in_png(file);
  return 1;
}

}  // namespace trainyard
