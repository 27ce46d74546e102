#include "datasets/idx.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <span>

#include <fmt/ranges.h>
#include <zlib.h>

#include "util/error.h"
#include "util/system.h"

namespace trainyard {
namespace {

constexpr std::size_t max_elements = std::size_t{1} << 30;
constexpr unsigned unsigned_byte = 0x08;

/// The content of a file, decompressed if it is gzip (zlib checks the first two bytes and otherwise passes the bytes
/// through).
class Source {
 public:
  explicit Source(const std::string& path) : path_(path) {
    UniqueFd file = open_regular_file(path, "idx");
    file_size_ = regular_file_size(file.get(), "idx", path);
    file_.reset(gzdopen(file.get(), "rb"));
    if (file_ == nullptr) throw_system_error("idx", "gzdopen", path, errno);
    file.release();
    gzbuffer(file_.get(), 256 * 1024);
  }

  /// Fills `out` up to the end of the file; returns the number of bytes read.
  std::size_t read(std::span<std::byte> out) {
    const int count = gzread(file_.get(), out.data(), static_cast<unsigned>(out.size()));
    int code = Z_OK;
    const std::string_view message = gzerror(file_.get(), &code);  // begins with "<fd:N>: "
    if (count < 0 || code != Z_OK) {
      throw RunError("idx", "{}{}, near byte {}; expected a whole gzip stream: fetch the file again", path_,
                     message.substr(std::min(message.find(": "), message.size())),
                     offset_ + static_cast<std::size_t>(std::max(count, 0)));
    }
    offset_ += static_cast<std::size_t>(count);
    return static_cast<std::size_t>(count);
  }

  /// Fills all of `out`; `what` names it in errors.
  void read_all(std::span<std::byte> out, const std::string& what) {
    if (read(out) < out.size()) {
      throw RunError("idx", "{}: truncated: ends at byte {}, expected {}; fetch the file again", path_, offset_, what);
    }
  }

  /// Whether the size of the content is known in advance, i.e. the file is not gzip. Call it after the first read.
  bool knows_size() const { return gzdirect(file_.get()) == 1; }
  std::size_t size() const { return file_size_; }

 private:
  struct Close {
    void operator()(gzFile file) const { gzclose(file); }
  };
  std::string path_;
  std::size_t file_size_ = 0;
  std::size_t offset_ = 0;
  std::unique_ptr<gzFile_s, Close> file_;
};

std::size_t big_endian(std::span<const std::byte, 4> bytes) {
  std::size_t value = 0;
  for (const std::byte byte : bytes) value = value << 8 | std::to_integer<std::size_t>(byte);
  return value;
}

void check_magic(const std::string& path, std::span<const std::byte, 4> magic, std::size_t rank) {
  if (big_endian(magic) >> 16 != 0) {
    throw RunError("idx", "{}: wrong magic number 0x{:08x} at byte 0, expected 0x{:08x}: this is no IDX file", path,
                   big_endian(magic), unsigned_byte << 8 | rank);
  }
  if (const auto type = std::to_integer<unsigned>(magic[2]); type != unsigned_byte) {
    throw RunError("idx", "{}: element type 0x{:02x} at byte 2, expected 0x08 (unsigned byte)", path, type);
  }
  if (const auto found = std::to_integer<unsigned>(magic[3]); found != rank) {
    throw RunError("idx", "{}: {} dimensions at byte 3, expected {}{}", path, found, rank,
                   found < 4 ? " (are images and labels exchanged?)" : "");
  }
}

}  // namespace

IdxArray read_idx(const std::string& path, const std::vector<std::size_t>& expected) {
  Source source(path);
  std::array<std::byte, 4> word{};
  source.read_all(word, "the 4 bytes of the magic number");
  check_magic(path, word, expected.size());

  IdxArray array;
  std::size_t elements = 1;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    source.read_all(word, fmt::format("{} dimensions of 4 bytes from byte 4", expected.size()));
    const std::size_t extent = big_endian(word);
    if (extent == 0 || (expected[i] != 0 && extent != expected[i])) {
      throw RunError("idx", "{}: dimension {} at byte {} is {}, expected {}", path, i, 4 + 4 * i, extent,
                     expected[i] == 0 ? "at least 1" : std::to_string(expected[i]));
    }
    array.dims.push_back(extent);
    if (extent > max_elements / elements) {
      throw RunError("idx", "{}: absurd dimensions {} at byte 4, expected at most {} elements", path,
                     fmt::join(array.dims, " x "), max_elements);
    }
    elements *= extent;
  }

  const std::string needed =
      fmt::format("{} bytes for dimensions {}", array.offset_of(elements), fmt::join(array.dims, " x "));
  if (source.knows_size() && source.size() != array.offset_of(elements)) {
    const bool is_short = source.size() < array.offset_of(elements);
    throw RunError("idx", "{}: {}: ends at byte {}, expected {}; fetch the file again", path,
                   is_short ? "truncated" : "trailing bytes", source.size(), needed);
  }
  // A gzip stream may contain far less than its header claims: memory is allocated only for what is decompressed.
  array.memory = Mapping::copied_on_write(elements, "idx");
  array.values = array.memory.bytes();
  source.read_all(array.memory.bytes(), needed);
  if (source.read(std::span(word).first(1)) != 0) {
    throw RunError("idx", "{}: trailing bytes from byte {}, expected {}; fetch the file again", path,
                   array.offset_of(elements), needed);
  }
  return array;
}

}  // namespace trainyard
