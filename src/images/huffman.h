/// Decodes the Huffman codes of a sequential JPEG scan (ITU-T T.81, annexes C and F.2.2) for readers that need a few
/// coefficients of a block and skip the others: one table lookup skips several of those.
///
/// Never throws or reads out of bounds, whatever the input. Not thread-safe.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

namespace trainyard {

/// A position in a bit stream in memory, most significant bit of a byte first. The reading function keeps it in a local
/// variable, so that it stays in registers: each table lookup depends on the one before.
struct BitReader {
  const unsigned char* next;  ///< the first byte not completely in `bits`
  std::uint64_t bits = 0;
  unsigned count = 0;  ///< number of valid bits in `bits`; the others are 0 or the bits that follow

  /// Afterwards at least 56 bits can be peeked at and dropped. Reads up to eight bytes from `next` on.
  void refill() {
    static_assert(std::endian::native == std::endian::little);
    std::uint64_t bytes = 0;
    std::memcpy(&bytes, next, sizeof bytes);
    bits |= __builtin_bswap64(bytes) >> count;
    next += (63 - count) / 8;
    count |= 56;
  }

  /// Returns the next `size` bits, 0 to 31, as an unsigned integer.
  unsigned peek(unsigned size) const { return static_cast<unsigned>(bits >> 1 >> (63 - size)); }

  void drop(unsigned size) {
    bits <<= size;
    count -= size;
  }

  /// Returns the signed number of `size` bits, 0 to 15, after `length` bits: RECEIVE and EXTEND of T.81.
  int number(unsigned length, unsigned size) const {
    const int value = static_cast<int>((bits << length) >> 1 >> (63 - size));
    const int half = 1 << size >> 1;
    return value + ((value - half) >> 31 & (1 - 2 * half));  // branch-free: signs are unpredictable
  }
};

/// The entropy-coded data of a scan as bits, without the zero bytes stuffed after 0xff. Ends at the next marker.
class EntropyBits {
 public:
  static constexpr std::size_t max_mcu_blocks = 10;

  /// `data` follows the scan's header and may extend beyond the scan. It must outlive this object.
  explicit EntropyBits(std::span<const unsigned char> data) : rest_(data) { read_on(); }
  EntropyBits(const EntropyBits&) = delete;
  EntropyBits& operator=(const EntropyBits&) = delete;

  /// Returns a reader for the blocks of one MCU, to be passed to resume_from() after them; nullopt if earlier blocks
  /// have read past the end of the data.
  std::optional<BitReader> reader() {
    if (reader_.next >= enough_ && !read_on()) return std::nullopt;
    return reader_;
  }
  void resume_from(const BitReader& reader) { reader_ = reader; }

  /// Skips the rest of the data before the next marker and the marker itself. Returns false unless it is the restart
  /// marker with this number, of which the file stores only the low three bits.
  bool restart(std::size_t number);

 private:
  static constexpr std::size_t window_size = 16384;
  /// More than the size of an MCU (for each coefficient, a code of 16 bits and a number of 15) plus the read-ahead.
  static constexpr std::size_t margin = max_mcu_blocks * 64 * 31 / 8 + 16;

  bool read_on();
  bool beyond_end() const { return reader_.next - reader_.count / 8 > end_; }
  bool at_marker() const;                      ///< whether the window receives no more data
  std::size_t plain(std::size_t limit) const;  ///< bytes of rest_ before the next 0xff, at most `limit`

  std::span<const unsigned char> rest_;  ///< data not yet copied to the window
  std::array<unsigned char, window_size + margin> window_{};
  unsigned char* end_ = window_.data();           ///< `margin` zeros follow
  const unsigned char* enough_ = window_.data();  ///< an MCU that begins before it ends before end_
  BitReader reader_{window_.data()};
};

/// A Huffman table of a JPEG file. Codes are looked up by their first bits.
class HuffmanTable {
 public:
  /// Whether of() returns a table for these arguments, much faster.
  static bool is_valid(std::span<const unsigned char, 16> lengths, std::span<const unsigned char, 256> symbols,
                       unsigned largest);

  /// `lengths`: the number of codes of 1 to 16 bits. `symbols`: their symbols in the order of the codes, none above
  /// `largest`; a symbol is the number of zeros (4 bits) and the size of a coefficient (4 bits). Returns nullopt if the
  /// table is damaged.
  static std::optional<HuffmanTable> of(std::span<const unsigned char, 16> lengths,
                                        std::span<const unsigned char, 256> symbols, unsigned largest);

  /// A code with the number that follows it, packed into one word that is loaded and decoded in a few cycles.
  class Code {
   public:
    Code() = default;  ///< not a code
    Code(unsigned length, unsigned size, unsigned step)
        : packed_(length + size + (length << 8) + (size << 16) + (step << 24)) {}

    bool valid() const { return packed_ != 0; }
    unsigned bits() const { return packed_ & 63; }  ///< including the number's, at most 31
    unsigned length() const { return packed_ >> 8 & 31; }
    unsigned size() const { return packed_ >> 16 & 15; }  ///< bits of the number; 0: no number follows
    /// Coefficients consumed: the zeros and the one after them. block_end if no more follow in the block.
    unsigned step() const { return packed_ >> 24; }

   private:
    std::uint32_t packed_ = 0;
  };
  static constexpr unsigned block_end = 128;

  /// Returns the next code. REQUIRES that `reader` has 16 bits.
  Code code(const BitReader& reader) const {
    const Code found = codes_[reader.peek(code_bits)];
    return found.valid() ? found : long_code(reader.peek(16));
  }

 private:
  friend class LeapTable;
  static constexpr unsigned code_bits = 10;

  HuffmanTable() = default;

  unsigned symbol(unsigned length, std::uint32_t number) const { return symbols_[places_[length] + number]; }
  Code code_of(unsigned length, std::uint32_t number) const;
  Code long_code(std::uint32_t next) const;  ///< from the next 16 bits

  std::array<Code, std::size_t{1} << code_bits> codes_{};  ///< by their first bits, except long codes
  // Codes of the same length are consecutive numbers.
  std::array<std::uint32_t, 17> ends_{};    ///< by length: one past the last code
  std::array<std::uint32_t, 17> places_{};  ///< by length: offset from a code to its index in symbols_, modulo 2^32
  std::array<unsigned char, 256> symbols_{};
};

/// Looks up several of the next codes at once: how far they advance, including their numbers.
class LeapTable {
 public:
  explicit LeapTable(const HuffmanTable& table);

  class Leap {
   public:
    Leap() = default;
    Leap(unsigned bits, unsigned step) : packed_(static_cast<std::uint16_t>(bits + (step << 6))) {}

    unsigned bits() const { return packed_ & 63; }  ///< at most 27
    unsigned step() const { return packed_ >> 6; }  ///< sum over the codes; `none` if the next code is a long one

   private:
    std::uint16_t packed_ = 0;
  };
  static constexpr unsigned none = 512;

  /// REQUIRES that `reader` has leap_bits bits.
  Leap leap(const BitReader& reader) const { return leaps_[reader.peek(leap_bits)]; }

 private:
  static constexpr unsigned leap_bits = 12;

  std::array<Leap, std::size_t{1} << leap_bits> leaps_;
};

}  // namespace trainyard
