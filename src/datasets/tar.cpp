#include "datasets/tar.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>
#include <unordered_map>

#include "datasets/pax.h"
#include "util/error.h"
#include "util/printable.h"
#include "util/system.h"

namespace trainyard {
namespace {

constexpr std::size_t block = 512;
constexpr std::uint64_t max_extension = 1 << 20;  // maximum size of GNU long names and pax headers
constexpr std::string_view again = "fetch or write the file again";

bool is_zero(std::string_view bytes) { return bytes.find_first_not_of('\0') == std::string_view::npos; }

// Types whose header is not followed by content, whatever its size field says: links, devices, folders, pipes.
bool is_header_alone(char type) { return type >= '1' && type <= '6'; }

std::string_view without_dot(std::string_view name) { return name.starts_with("./") ? name.substr(2) : name; }

/// Reads a tar file header by header.
class Reader {
 public:
  Reader(int file, const std::string& path)
      : file_(file), path_(path), file_size_(regular_file_size(file, "tar", path)) {}

  TarContents read() {
    while (next_header()) {
      switch (const char type = header_[156]) {
        case 'L':
          fields_.path = long_name();
          break;  // GNU: long name of the next member
        case 'K':
          fields_.link = long_name();
          break;
        case 'x':
        case 'X':
          read_fields(fields_);
          break;
        case 'g':
          read_fields(global_);
          fields_ = global_;
          break;
        default:
          add_member(type);
          fields_ = global_;
          extended_ = false;
      }
    }
    if (extended_) fail("an extended header without its member", again);
    check_end();
    resolve_links();
    return std::move(contents_);
  }

 private:
  struct Link {
    std::size_t member;  ///< index of the member
    std::string target;
  };

  [[noreturn]] void fail(std::string_view what, std::string_view remedy) const {
    throw RunError("tar", "{}: {} at byte {}: {}", path_, what, at_, remedy);
  }

  [[noreturn]] void fail_cut(std::string_view within) const {
    throw RunError("tar", "{} is cut short: it ends at byte {}, {}: {}", path_, file_size_, within, again);
  }

  std::string_view read_bytes(std::span<char> bytes, std::uint64_t offset) const {
    const std::size_t count = read_at(file_, std::as_writable_bytes(bytes), offset, "tar", path_);
    return {bytes.data(), count};
  }

  // A text field of the header, which ends at its first NUL.
  std::string_view field(std::size_t offset, std::size_t size) const {
    const std::string_view whole = header_.substr(offset, size);
    return whole.substr(0, whole.find('\0'));
  }

  // A numeric field of the header below 2^63: octal text, or GNU's base-256 if the first bit is set.
  std::uint64_t number(std::size_t offset, std::size_t size) const {
    const std::string_view bytes = header_.substr(offset, size);
    if ((static_cast<unsigned char>(bytes[0]) & 0x80) != 0) {
      const std::string_view low = bytes.substr(size - std::min<std::size_t>(size, 8));
      const bool fits = size <= 8 || (bytes[0] == '\x80' && is_zero(bytes.substr(1, size - 9)));
      std::uint64_t value = 0;
      for (const char byte : low) value = value << 8 | static_cast<unsigned char>(byte);
      if (!fits || value >> 63 != 0) fail("a number that is out of range", again);
      return value;
    }
    std::string_view digits = field(offset, size);
    digits.remove_prefix(std::min(digits.find_first_not_of(' '), digits.size()));
    digits = digits.substr(0, digits.find_last_not_of(' ') + 1);
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 8);
    if (!digits.empty() && (error != std::errc() || end != digits.data() + digits.size())) {
      fail(fmt::format("the number '{}', which is not octal,", printable(digits)), again);
    }
    return value;
  }

  bool next_header() {
    at_ = next_;
    if (at_ == file_size_) fail_cut("without the block of zeros that ends a tar file, so members may be missing");
    header_ = read_bytes(buffer_, at_);
    if (header_.size() < block) fail_cut(fmt::format("within the header at byte {}", at_));
    if (is_zero(header_)) return false;
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < block; ++i) {
      sum += i >= 148 && i < 156 ? std::uint64_t{' '} : static_cast<unsigned char>(header_[i]);
    }
    const bool has_sum =
        header_.substr(148, 8).find_first_not_of(std::string_view("01234567 \0", 10)) == std::string_view::npos;
    if (!has_sum || sum != number(148, 8)) {
      fail(at_ == 0 ? "is not a tar file (compressed?): no header" : "a damaged header", again);
    }
    content_ = at_ + block;
    size_ = is_header_alone(header_[156]) ? 0 : fields_.size.value_or(number(124, 12));
    // The padding counts: a file without all of it is truncated, too.
    const std::uint64_t rest = file_size_ - content_;
    if (size_ > rest || (size_ + block - 1) / block * block > rest) {
      fail_cut(fmt::format("within member {} of {} bytes, which begins at byte {}", printable(name()), size_, at_));
    }
    next_ = content_ + (size_ + block - 1) / block * block;
    return true;
  }

  std::string extension() {
    if (size_ > max_extension) fail("a name of over 1 MiB", again);
    std::string text(size_, '\0');
    if (read_bytes(text, content_).size() < size_) fail_cut("while it is read");
    extended_ = true;
    return text;
  }

  std::string long_name() {
    const std::string text = extension();
    return text.substr(0, text.find('\0'));
  }

  void read_fields(PaxFields& fields) {
    const bool was_extended = extended_;
    if (!fields.read(extension())) fail("a damaged pax header", again);
    if (&fields == &global_) extended_ = was_extended;  // a global header may come last
  }

  std::string name() const {
    if (fields_.path) return *fields_.path;
    const std::string_view prefix = header_.substr(257, 6) == std::string_view("ustar\0", 6) ? field(345, 155) : "";
    return prefix.empty() ? std::string(field(0, 100)) : fmt::format("{}/{}", prefix, field(0, 100));
  }

  void add_member(char type) {
    if (type == 'S' || fields_.sparse) {
      fail(fmt::format("the sparse member {}, a kind that is not read,", printable(name())),
           "write the file again without --sparse");
    }
    switch (type) {
      case '\0':
      case '0':
      case '7':
        if (std::string of = name(); !of.ends_with('/')) contents_.members.push_back({std::move(of), content_, size_});
        break;
      case '1':
        links_.push_back({contents_.members.size(), fields_.link.value_or(std::string(field(157, 100)))});
        contents_.members.push_back({name(), 0, 0});
        break;
      case '2':
        contents_.others.push_back({name(), "symbolic link"});
        break;
      case '3':
      case '4':
        contents_.others.push_back({name(), "device"});
        break;
      case '6':
        contents_.others.push_back({name(), "named pipe"});
        break;
      case '5':
      case 'D':  // GNU: a folder with a list of its files
      case 'V':
        break;  // GNU: a volume label
      case 'M':
        fail(fmt::format("the rest of member {}, which begins in another volume,", printable(name())),
             "write the file again without --multi-volume");
      default:
        contents_.others.push_back({name(), fmt::format("member of unknown type {}", printable({&type, 1}))});
    }
  }

  // A second archive appended to the first, or a gap, would hide what follows.
  void check_end() {
    std::vector<char> bytes(std::size_t{1} << 16);
    for (at_ += block; at_ < file_size_; at_ += bytes.size()) {
      const std::string_view rest = read_bytes(bytes, at_);
      if (is_zero(rest)) continue;
      at_ += rest.find_first_not_of('\0');
      fail("more data after the zeros that end it (joined by cat? use tar --concatenate; a hole?)", again);
    }
  }

  void resolve_links() {
    if (links_.empty()) return;
    std::unordered_map<std::string_view, const TarMember*> before;
    auto link = links_.begin();
    for (TarMember& member : contents_.members) {
      if (link != links_.end() && &member == &contents_.members[link->member]) {
        const auto found = before.find(without_dot(link->target));
        if (found != before.end()) {
          member.offset = found->second->offset;
          member.size = found->second->size;
        }
        ++link;
      }
      before.insert_or_assign(without_dot(member.name), &member);
    }
    before.clear();  // its names point into the members
    std::erase_if(contents_.members, [&](TarMember& member) {
      if (member.offset != 0) return false;
      contents_.others.push_back({std::move(member.name), "hard link to no member before it"});
      return true;
    });
  }

  int file_;
  const std::string& path_;
  std::uint64_t file_size_;
  TarContents contents_;
  std::vector<Link> links_;
  std::uint64_t at_ = 0;    ///< the current header
  std::uint64_t next_ = 0;  ///< the header after it
  std::uint64_t content_ = 0;
  std::uint64_t size_ = 0;
  std::array<char, block> buffer_{};
  std::string_view header_;
  PaxFields global_;
  PaxFields fields_;       ///< of the next member
  bool extended_ = false;  ///< the next member's extended headers have been read
};

}  // namespace

TarContents read_tar(int file, const std::string& path) { return Reader(file, path).read(); }

}  // namespace trainyard
