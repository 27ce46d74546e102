#include "images/describe_format.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

#include <fmt/format.h>

#include "util/printable.h"

namespace trainyard {
namespace {

using namespace std::string_view_literals;
using Kind = FileFormat::Kind;

struct Magic {
  std::string_view bytes;  ///< '\?' matches any byte
  Kind kind;
  const char* name;
};

constexpr char any = '?';

// The first match counts.
constexpr std::array magics = {
    Magic{"\xff\xd8\xff"sv, Kind::read, "JPEG"},
    Magic{"\x89PNG"sv, Kind::read, "PNG"},
    Magic{"GIF87a"sv, Kind::other_image, "GIF"},
    Magic{"GIF89a"sv, Kind::other_image, "GIF"},
    Magic{"RIFF????WEBP"sv, Kind::other_image, "WebP"},
    Magic{"II*\0"sv, Kind::other_image, "TIFF"},
    Magic{"MM\0*"sv, Kind::other_image, "TIFF"},
    Magic{"II+\0"sv, Kind::other_image, "TIFF"},
    Magic{"MM\0+"sv, Kind::other_image, "TIFF"},
    Magic{"BM????\0\0\0\0"sv, Kind::other_image, "BMP"},
    Magic{"????ftypavif"sv, Kind::other_image, "AVIF"},
    Magic{"????ftypavis"sv, Kind::other_image, "AVIF"},
    Magic{"????ftyphe"sv, Kind::other_image, "HEIC"},
    Magic{"????ftypmif1"sv, Kind::other_image, "HEIF"},
    Magic{"????ftypmsf1"sv, Kind::other_image, "HEIF"},
    Magic{"????ftyp"sv, Kind::other, "MP4 video"},
    Magic{"\xff\x0a"sv, Kind::other_image, "JPEG XL"},
    Magic{"\0\0\0\x0cJXL \r\n\x87\n"sv, Kind::other_image, "JPEG XL"},
    Magic{"\0\0\0\x0cjP  \r\n\x87\n"sv, Kind::other_image, "JPEG 2000"},
    Magic{"\xff\x4f\xff\x51"sv, Kind::other_image, "JPEG 2000"},
    Magic{"qoif"sv, Kind::other_image, "QOI"},
    Magic{"8BPS"sv, Kind::other_image, "PSD"},
    Magic{"\x76\x2f\x31\x01"sv, Kind::other_image, "OpenEXR"},
    Magic{"DDS "sv, Kind::other_image, "DDS"},
    Magic{"\0\0\1\0"sv, Kind::other_image, "ICO"},
    Magic{"version https://git-lfs.github.com/"sv, Kind::other, "Git LFS pointer"},
    Magic{"/annex/objects/"sv, Kind::other, "git-annex pointer"},
    Magic{"\0\x05\x16\x07"sv, Kind::other, "AppleDouble file of macOS"},
    Magic{"%PDF"sv, Kind::other, "PDF"},
    Magic{"PK\3\4"sv, Kind::other, "ZIP archive"},
    Magic{"\x1f\x8b"sv, Kind::other, "gzip file"},
};

bool begins_with(std::string_view text, std::string_view magic) {
  return text.size() >= magic.size() &&
         std::equal(magic.begin(), magic.end(), text.begin(), [](char a, char b) { return a == any || a == b; });
}

// PBM, PGM, PPM, PAM: P1 to P7 and white space.
bool is_pnm(std::string_view text) {
  return text.size() >= 3 && text[0] == 'P' && text[1] >= '1' && text[1] <= '7' &&
         std::isspace(static_cast<unsigned char>(text[2])) != 0;
}

// Returns the text in lower case without a byte order mark and leading white space, for detecting markup.
std::string markup_in(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  std::string lower(text.substr(std::min(text.find_first_not_of(" \t\r\n"), text.size())));
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  return lower;
}

// Returns the printable text, except for a last character that is cut off; empty if it is not text.
std::string text_in(std::string_view begin) {
  constexpr std::size_t longest_character = 4;  // of UTF-8, in bytes
  const auto is_of_text = [](unsigned char c) { return c >= 0x20 || std::isspace(c) != 0; };
  const std::size_t whole = valid_utf8_prefix(begin);
  if (whole + longest_character <= begin.size() || !std::all_of(begin.begin(), begin.end(), is_of_text)) return "";
  return printable(begin.substr(0, whole));
}

}  // namespace

FileFormat format_of(std::span<const std::byte> file) {
  if (file.empty()) return {Kind::other, "empty"};
  const std::string_view text(reinterpret_cast<const char*>(file.data()), std::min(file.size(), format_bytes));
  for (const Magic& magic : magics) {
    if (begins_with(text, magic.bytes)) return {magic.kind, magic.name};
  }
  if (is_pnm(text)) return {Kind::other_image, "PNM"};
  const std::string markup = markup_in(text);
  if (markup.starts_with("<!doctype html") || markup.starts_with("<html") || markup.starts_with("<head")) {
    return {Kind::other, "HTML"};
  }
  if (markup.starts_with("<svg") || (markup.starts_with("<?xml") && markup.find("<svg") != std::string::npos)) {
    return {Kind::other_image, "SVG"};
  }
  if (markup.starts_with("<?xml")) return {Kind::other, "XML"};
  if (text.find_first_not_of('\0') == std::string_view::npos) return {Kind::other, "zeros"};
  return {Kind::other, ""};
}

std::string describe_format(std::span<const std::byte> file) {
  const FileFormat format = format_of(file);
  if (format.kind == Kind::other_image) {
    return fmt::format("is a {} image, which is not read: convert it to JPEG or PNG", format.name);
  }
  if (format.name == "empty") return "is empty: fetch it again";
  if (format.name == "zeros") return "begins with zeros alone: fetch it again";
  if (format.name == "HTML" || format.name == "XML") {
    return fmt::format("is {}, what a server may answer in place of an image: fetch it again", format.name);
  }
  if (format.name == "Git LFS pointer") return "is a Git LFS pointer, not the image: run `git lfs pull`";
  if (format.name == "git-annex pointer") return "is a git-annex pointer, not the image: run `git annex get`";
  if (!format.name.empty()) return fmt::format("is a {}, expected a JPEG or PNG", format.name);

  const std::string_view start(reinterpret_cast<const char*>(file.data()), std::min<std::size_t>(file.size(), 32));
  if (const std::string text = text_in(start); !text.empty()) {
    return fmt::format("is text, '{}', expected a JPEG or PNG", text);
  }
  std::string bytes;
  for (const char c : start.substr(0, 4)) {
    bytes += fmt::format("{}{:02x}", bytes.empty() ? "" : " ", static_cast<unsigned char>(c));
  }
  return fmt::format("begins with bytes '{}', expected a JPEG (ff d8 ff) or a PNG (89 50 4e 47)", bytes);
}

}  // namespace trainyard
