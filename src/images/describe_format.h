/// Tells files apart by their first bytes, whatever their names say.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace trainyard {

/// What a file is, as far as its first bytes tell.
struct FileFormat {
  enum class Kind : std::uint8_t {
    read,     ///< a JPEG or PNG: what ImageReader opens
    picture,  ///< a picture in a format that is not read
    other,    ///< no picture, or nothing known
  };
  Kind kind = Kind::other;
  std::string name;  ///< "JPEG", "WebP", "HTML", "Git LFS pointer", "empty"; empty if nothing known
};

/// So many bytes from the beginning of a file are enough to tell.
inline constexpr std::size_t format_bytes = 256;

FileFormat format_of(std::span<const std::byte> file);

/// What the file is in place of a JPEG or PNG and what to do, to stand behind its name: "is a WebP picture, which is
/// not read: convert it to JPEG or PNG", "is empty", "begins with bytes '00 05 16 07', ...".
std::string describe_format(std::span<const std::byte> file);

}  // namespace trainyard
