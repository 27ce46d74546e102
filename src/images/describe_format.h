/// Detects file formats from the first bytes of a file, whatever its name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace trainyard {

/// The format of a file as far as its first bytes reveal it.
struct FileFormat {
  enum class Kind : std::uint8_t {
    read,         ///< JPEG or PNG, which ImageReader opens
    other_image,  ///< an image in an unsupported format
    other,        ///< not an image, or unknown
  };
  Kind kind = Kind::other;
  std::string name;  ///< "JPEG", "WebP", "HTML", "Git LFS pointer", "empty"; empty if unknown
};

/// The number of bytes from the beginning of a file that suffice for detection.
inline constexpr std::size_t format_bytes = 256;

FileFormat format_of(std::span<const std::byte> file);

/// Describes what the file is instead of a JPEG or PNG and what to do, as the predicate of its name: "is a WebP
/// image, which is not read: convert it to JPEG or PNG", "is empty", "begins with bytes '00 05 16 07', ...".
std::string describe_format(std::span<const std::byte> file);

}  // namespace trainyard
