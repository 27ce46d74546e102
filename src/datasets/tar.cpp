#include "datasets/tar.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

#include "util/error.h"

namespace trainyard {
namespace {

constexpr std::size_t block = 512;
constexpr std::uint64_t max_name = 1 << 20;  // of GNU's long names and pax headers

/// Walks over a tar file's headers.
class Reader {
 public:
  Reader(std::span<const std::byte> file, const std::string& path) : file_(file), path_(path) {}

  std::vector<TarMember> read() {
    while (next_header()) {
      switch (header_[156]) {
        case 'L':                                 // GNU: the name of the next member
          long_name_ = content(max_name).data();  // NOLINT(readability-redundant-string-cstr): up to the first 0
          break;
        case 'x':  // pax: facts about the next member
          read_pax(content(max_name));
          break;
        case '0':
        case '\0':
        case '7':
          add_member();
          [[fallthrough]];
        default:
          long_name_.clear();
          pax_path_.clear();
          pax_size_.reset();
      }
    }
    return std::move(members_);
  }

 private:
  [[noreturn]] void fail(std::string_view what) const {
    throw RunError("tar", "{}: {} at byte {}: fetch the file again", path_, what, at_);
  }

  std::string_view text(std::size_t offset, std::size_t size) const {
    return {reinterpret_cast<const char*>(file_.data()) + offset, size};
  }

  // A field that ends at its first zero byte.
  std::string_view field(std::size_t offset, std::size_t size) const {
    const std::string_view whole = header_.substr(offset, size);
    return whole.substr(0, whole.find('\0'));
  }

  // Octal text, or GNU's base 256 where the first bit is set.
  std::uint64_t number(std::size_t offset, std::size_t size) const {
    const std::string_view bytes = header_.substr(offset, size);
    std::uint64_t value = 0;
    if ((static_cast<unsigned char>(bytes[0]) & 0x80) != 0) {
      for (std::size_t i = size - 8; i < size; ++i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
      return value;
    }
    std::string_view digits = bytes.substr(std::min(bytes.find_first_not_of(' '), size));
    digits = digits.substr(0, digits.find_first_not_of("01234567"));
    if (!digits.empty()) {
      const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 8);
      if (error != std::errc()) fail("a number is out of range");
    }
    return value;
  }

  bool next_header() {
    at_ = next_;
    if (file_.size() - at_ < block) {
      if (at_ == file_.size() && !members_.empty()) return false;  // without the zeros that should end it
      fail("the file ends too early");
    }
    header_ = text(at_, block);
    if (std::all_of(header_.begin(), header_.end(), [](char c) { return c == '\0'; })) return false;
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < block; ++i) {
      sum += i >= 148 && i < 156 ? std::uint64_t{' '} : static_cast<unsigned char>(header_[i]);
    }
    if (sum != number(148, 8)) fail(at_ == 0 ? "is no tar file (compressed?); no header" : "a damaged header");
    content_ = at_ + block;
    size_ = pax_size_.value_or(number(124, 12));
    if (size_ > file_.size() - content_) fail("the file ends within a member that begins");
    next_ = std::min<std::uint64_t>(content_ + (size_ + block - 1) / block * block, file_.size());
    return true;
  }

  std::string content(std::uint64_t limit) const {
    if (size_ > limit) fail("a name of over 1 MiB");
    return std::string(text(content_, size_));
  }

  // Lines of "length key=value\n".
  void read_pax(const std::string& lines) {
    for (std::string_view rest = lines; !rest.empty();) {
      std::size_t length = 0;
      const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), length);
      const auto digits = static_cast<std::size_t>(end - rest.data());
      if (error != std::errc() || length > rest.size() || length < digits + 2) fail("a damaged pax header");
      const std::string_view line = rest.substr(digits + 1, length - digits - 2);
      rest.remove_prefix(length);
      const std::size_t equals = line.find('=');
      if (equals == std::string_view::npos) fail("a damaged pax header");
      const std::string_view value = line.substr(equals + 1);
      if (line.substr(0, equals) == "path") pax_path_ = value;
      if (line.substr(0, equals) == "size") {
        std::uint64_t size = 0;
        if (std::from_chars(value.data(), value.data() + value.size(), size).ec != std::errc()) {
          fail("a damaged pax header");
        }
        pax_size_ = size;
      }
    }
  }

  void add_member() {
    std::string name = !pax_path_.empty() ? pax_path_ : long_name_;
    if (name.empty()) {
      const std::string_view prefix = header_.substr(257, 6) == std::string_view("ustar\0", 6) ? field(345, 155) : "";
      name = prefix.empty() ? std::string(field(0, 100)) : fmt::format("{}/{}", prefix, field(0, 100));
    }
    if (!name.ends_with('/')) members_.push_back({std::move(name), content_, size_});
  }

  std::span<const std::byte> file_;
  const std::string& path_;
  std::vector<TarMember> members_;
  std::uint64_t at_ = 0;    ///< the current header
  std::uint64_t next_ = 0;  ///< the one behind it
  std::uint64_t content_ = 0;
  std::uint64_t size_ = 0;
  std::string_view header_;
  std::string long_name_;
  std::string pax_path_;
  std::optional<std::uint64_t> pax_size_;
};

}  // namespace

std::vector<TarMember> read_tar(std::span<const std::byte> file, const std::string& path) {
  return Reader(file, path).read();
}

}  // namespace trainyard
