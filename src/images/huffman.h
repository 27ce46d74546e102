/// Huffman decoding of a JPEG's sequential scan (ITU-T T.81, annexes C and F.2.2), made for readers that want a few
/// coefficients of a block and have to step over the others: several of those are taken by one look into a table.
///
/// Whatever the bytes are, nothing here throws or reads outside of its memory. For one thread.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

namespace trainyard {

/// A place among bits in memory, the most significant of a byte first. The function that reads keeps it in a variable,
/// so that it stays in registers: each look into a table waits for the one before.
struct BitReader {
  const unsigned char* next;  ///< the first byte of which not all is in `bits`
  std::uint64_t bits = 0;
  unsigned count = 0;  ///< how many of `bits` are valid; the others are 0 or what comes next

  /// After it at least 56 bits can be looked at and dropped. Up to eight bytes from `next` on are read.
  void refill() {
    static_assert(std::endian::native == std::endian::little);
    std::uint64_t bytes = 0;
    std::memcpy(&bytes, next, sizeof bytes);
    bits |= __builtin_bswap64(bytes) >> count;
    next += (63 - count) / 8;
    count |= 56;
  }

  /// The next `size` bits, 0 to 31, as a number.
  unsigned peek(unsigned size) const { return static_cast<unsigned>(bits >> 1 >> (63 - size)); }

  void drop(unsigned size) {
    bits <<= size;
    count -= size;
  }

  /// The signed number of `size` bits, 0 to 15, behind `length` bits: T.81's RECEIVE and EXTEND.
  int number(unsigned length, unsigned size) const {
    const int value = static_cast<int>((bits << length) >> 1 >> (63 - size));
    const int half = 1 << size >> 1;
    return value + ((value - half) >> 31 & (1 - 2 * half));  // no branch: nobody can predict a sign
  }
};

/// The entropy-coded data of a scan, as bits without the zeros that are stuffed behind bytes of 0xff. They end at the
/// next marker.
class EntropyBits {
 public:
  static constexpr std::size_t max_mcu_blocks = 10;

  /// `data` is what follows the scan's header, and may hold more than the scan. It must outlive this.
  explicit EntropyBits(std::span<const unsigned char> data) : rest_(data) { read_on(); }
  EntropyBits(const EntropyBits&) = delete;
  EntropyBits& operator=(const EntropyBits&) = delete;

  /// For the blocks of one MCU, and to be given back behind them: none where those before have gone beyond the data.
  std::optional<BitReader> reader() {
    if (reader_.next >= enough_ && !read_on()) return std::nullopt;
    return reader_;
  }
  void go_on_from(const BitReader& reader) { reader_ = reader; }

  /// Goes over what is left before the next marker and over that one. False where it is not the restart marker of this
  /// number, of which a file has only the last three bits.
  bool restart(std::size_t number);

 private:
  static constexpr std::size_t window_size = 16384;
  /// More than an MCU has: of each coefficient a code of 16 bits and a number of 15; and what is read ahead.
  static constexpr std::size_t margin = max_mcu_blocks * 64 * 31 / 8 + 16;

  bool read_on();
  bool beyond_end() const { return reader_.next - reader_.count / 8 > end_; }
  bool at_marker() const;                      ///< whether nothing more comes into the window
  std::size_t plain(std::size_t limit) const;  ///< bytes of rest_ before the next 0xff, at most `limit`

  std::span<const unsigned char> rest_;  ///< what has not come into the window yet
  std::array<unsigned char, window_size + margin> window_{};
  unsigned char* end_ = window_.data();           ///< `margin` zeros follow
  const unsigned char* enough_ = window_.data();  ///< an MCU that begins before it ends before end_
  BitReader reader_{window_.data()};
};

/// A Huffman table of a JPEG file. Codes are looked up by their first bits.
class HuffmanTable {
 public:
  /// `lengths`: how many codes there are of 1 to 16 bits. `symbols`: what they stand for, in the order of the codes,
  /// none above `largest`: the number of zeros (4 bits) and the size of a coefficient (4 bits). None where it is
  /// damaged.
  static std::optional<HuffmanTable> of(std::span<const unsigned char, 16> lengths,
                                        std::span<const unsigned char, 256> symbols, unsigned largest);

  /// A code with the number that follows it, in one word, which is looked up and taken apart in a few cycles.
  class Code {
   public:
    Code() = default;  ///< no code at all
    Code(unsigned length, unsigned size, unsigned step)
        : packed_(length + size + (length << 8) + (size << 16) + (step << 24)) {}

    bool valid() const { return packed_ != 0; }
    unsigned bits() const { return packed_ & 63; }  ///< with the number's, at most 31
    unsigned length() const { return packed_ >> 8 & 31; }
    unsigned size() const { return packed_ >> 16 & 15; }  ///< bits of the number; 0: none follows
    /// Coefficients gone over: the zeros and the one behind them. block_end where no more follow in the block.
    unsigned step() const { return packed_ >> 24; }

   private:
    std::uint32_t packed_ = 0;
  };
  static constexpr unsigned block_end = 128;

  /// The next one. REQUIRES that `reader` has 16 bits.
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
  Code long_code(std::uint32_t next) const;  ///< of the next 16 bits

  std::array<Code, std::size_t{1} << code_bits> codes_{};  ///< by their first bits, but for the long ones
  // The codes of one length are numbers that follow one another.
  std::array<std::uint32_t, 17> ends_{};    ///< by length: the number behind the last
  std::array<std::uint32_t, 17> places_{};  ///< by length: what a number lacks to its place in symbols_, maybe under 0
  std::array<unsigned char, 256> symbols_{};
};

/// What can be told by one look of the codes that come next: how far some of them go, with their numbers.
class LeapTable {
 public:
  explicit LeapTable(const HuffmanTable& table);

  class Leap {
   public:
    Leap() = default;
    Leap(unsigned bits, unsigned step) : packed_(static_cast<std::uint16_t>(bits + (step << 6))) {}

    unsigned bits() const { return packed_ & 63; }  ///< at most 27
    unsigned step() const { return packed_ >> 6; }  ///< the codes' together; `none` where the next one is a long one

   private:
    std::uint16_t packed_ = 0;
  };
  static constexpr unsigned none = 512;

  /// REQUIRES that `reader` has leap_bits.
  Leap leap(const BitReader& reader) const { return leaps_[reader.peek(leap_bits)]; }

 private:
  static constexpr unsigned leap_bits = 12;

  std::array<Leap, std::size_t{1} << leap_bits> leaps_;
};

}  // namespace trainyard
