/// Builds tar files for tests, block by block.
#pragma once

#include <string>
#include <string_view>

#include <fmt/format.h>

namespace trainyard {

/// Returns a header with `size` as the text of its size field.
inline std::string tar_header(std::string_view name, char type, std::string_view size, std::string_view link = "") {
  std::string header(512, '\0');
  const auto put = [&](std::size_t at, std::string_view text) { header.replace(at, text.size(), text); };
  put(0, name);
  put(100, "0000644");
  put(124, size);
  header[156] = type;
  put(157, link);
  put(257, std::string_view("ustar\00000", 8));
  unsigned sum = 8 * ' ';
  for (const char c : header) sum += static_cast<unsigned char>(c);
  put(148, fmt::format("{:06o}", sum));
  header[155] = ' ';
  return header;
}

/// Returns a member: header, content and padding.
inline std::string tar_member(std::string_view name, std::string_view content, char type = '0') {
  std::string member = tar_header(name, type, fmt::format("{:011o}", content.size()));
  member += content;
  member.resize((member.size() + 511) / 512 * 512);
  return member;
}

/// Returns a pax header with one record.
inline std::string pax_header(std::string_view key, std::string_view value, char type = 'x') {
  const std::size_t rest = key.size() + value.size() + 3;
  const std::size_t length = rest + (rest + 2 > 99 ? 3 : rest + 1 > 9 ? 2 : 1);
  return tar_member("pax", fmt::format("{} {}={}\n", length, key, value), type);
}

/// Returns the two zero blocks that end a tar file.
inline std::string tar_end() { return std::string(1024, '\0'); }

}  // namespace trainyard
