#include "util/printable.h"

#include <algorithm>
#include <cstdint>

#include <fmt/format.h>

namespace trainyard {
namespace {

struct Character {
  std::size_t bytes = 0;  ///< 0: not UTF-8
  std::uint32_t code_point = 0;
};

Character first_character(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {1, lead};
  const std::size_t bytes = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || bytes > text.size()) return {};
  std::uint32_t code_point = lead & (0xffu >> (bytes + 1));
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    code_point = code_point << 6 | (byte(i) & 0x3fu);
  }
  constexpr std::uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code_point >= 0xd800 && code_point <= 0xdfff;
  if (code_point < least[bytes] || code_point > 0x10ffff || surrogate) return {};
  return {bytes, code_point};
}

// Control characters (C0, DEL, C1), line separators, and marks that change the direction of text.
bool moves_text(std::uint32_t c) {
  return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x61c || (c >= 0x200b && c <= 0x200f) ||
         (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff;
}

void append_escaped(std::string& out, std::string_view bytes) {
  for (const char c : bytes) {
    switch (c) {
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
}

std::string escaped(std::string_view text, std::size_t most, bool keep_newlines) {
  std::string out;
  for (std::string_view rest = text; !rest.empty();) {
    const Character character = first_character(rest);
    const std::string_view bytes = rest.substr(0, std::max<std::size_t>(character.bytes, 1));
    const bool kept = keep_newlines && bytes == "\n";
    std::string shown(bytes);
    if (!kept && (character.bytes == 0 || moves_text(character.code_point))) {
      shown.clear();
      append_escaped(shown, bytes);
    }
    if (out.size() + shown.size() > most) return out + fmt::format("... ({} bytes)", text.size());
    out += shown;
    rest.remove_prefix(bytes.size());
  }
  return out;
}

}  // namespace

std::size_t valid_utf8_prefix(std::string_view text) {
  std::size_t valid = 0;
  while (valid < text.size()) {
    const std::size_t bytes = first_character(text.substr(valid)).bytes;
    if (bytes == 0) break;
    valid += bytes;
  }
  return valid;
}

std::string printable(std::string_view text, std::size_t most) { return escaped(text, most, false); }

std::string printable_lines(std::string_view text, std::size_t most) { return escaped(text, most, true); }

}  // namespace trainyard
