#include "images/huffman.h"

#include <algorithm>

namespace trainyard {

bool EntropyBits::at_marker() const {
  return rest_.empty() || (rest_[0] == 0xff && (rest_.size() < 2 || rest_[1] != 0));
}

std::size_t EntropyBits::plain(std::size_t limit) const {
  const std::size_t size = std::min(limit, rest_.size());
  const void* const found = std::memchr(rest_.data(), 0xff, size);
  return found != nullptr ? static_cast<std::size_t>(static_cast<const unsigned char*>(found) - rest_.data()) : size;
}

bool EntropyBits::read_on() {
  if (beyond_end()) return false;
  if (at_marker()) return true;
  end_ = std::copy(reader_.next, static_cast<const unsigned char*>(end_), window_.data());
  reader_.next = window_.data();
  const unsigned char* const window_end = window_.data() + window_size;
  while (end_ < window_end && !at_marker()) {
    const std::size_t size = plain(static_cast<std::size_t>(window_end - end_));
    end_ = std::copy_n(rest_.data(), size, end_);
    rest_ = rest_.subspan(size);
    if (end_ == window_end || at_marker()) break;
    *end_++ = 0xff;
    rest_ = rest_.subspan(2);
  }
  std::fill_n(end_, margin, static_cast<unsigned char>(0));
  enough_ = at_marker() ? window_.data() : window_end - margin;
  return true;
}

bool EntropyBits::restart(std::size_t number) {
  if (beyond_end()) return false;
  while (!at_marker()) rest_ = rest_.subspan(rest_[0] == 0xff ? 2 : plain(rest_.size()));
  if (rest_.size() < 2 || rest_[1] != 0xd0 + number % 8) return false;
  rest_ = rest_.subspan(2);
  end_ = window_.data();
  reader_ = {end_};
  return read_on();
}

bool HuffmanTable::is_valid(std::span<const unsigned char, 16> lengths, std::span<const unsigned char, 256> symbols,
                            unsigned largest) {
  std::uint32_t used = 0;  // of the 2^length codes
  std::size_t count = 0;
  for (unsigned length = 1; length <= 16; ++length) {
    used = 2 * used + lengths[length - 1];
    if (used >= 1U << length) return false;  // T.81 does not allow a code of ones only
    count += lengths[length - 1];
  }
  return count <= symbols.size() && std::all_of(symbols.begin(), symbols.begin() + static_cast<std::ptrdiff_t>(count),
                                                [&](unsigned symbol) { return symbol <= largest; });
}

std::optional<HuffmanTable> HuffmanTable::of(std::span<const unsigned char, 16> lengths,
                                             std::span<const unsigned char, 256> symbols, unsigned largest) {
  if (!is_valid(lengths, symbols, largest)) return std::nullopt;
  HuffmanTable table;
  std::copy(symbols.begin(), symbols.end(), table.symbols_.begin());
  std::uint32_t number = 0;
  std::uint32_t place = 0;
  for (unsigned length = 1; length <= 16; ++length) {
    const std::uint32_t count = lengths[length - 1];
    number *= 2;
    table.places_[length] = place - number;
    place += count;
    for (const std::uint32_t end = number + count; number < end; ++number) {
      if (length > code_bits) continue;
      const unsigned open = code_bits - length;
      std::fill_n(table.codes_.begin() + (number << open), 1U << open, table.code_of(length, number));
    }
    table.ends_[length] = number;
  }
  return table;
}

HuffmanTable::Code HuffmanTable::code_of(unsigned length, std::uint32_t number) const {
  const unsigned symbol = this->symbol(length, number);
  const unsigned zeros = symbol / 16;
  const unsigned size = symbol % 16;
  const unsigned step = size == 0 && zeros < 15 ? block_end : zeros + 1;
  return {length, size, step};
}

HuffmanTable::Code HuffmanTable::long_code(std::uint32_t next) const {
  for (unsigned length = code_bits + 1; length <= 16; ++length) {
    const std::uint32_t number = next >> (16 - length);
    if (number < ends_[length]) return code_of(length, number);
  }
  return {};
}

LeapTable::LeapTable(const HuffmanTable& table) {
  for (std::uint32_t first = 0; first < leaps_.size(); ++first) {
    unsigned bits = 0;
    unsigned step = 0;
    while (bits < leap_bits && step < HuffmanTable::block_end) {
      const std::uint32_t next = first << bits & ((1U << leap_bits) - 1);
      const HuffmanTable::Code code = table.codes_[next >> (leap_bits - HuffmanTable::code_bits)];
      const bool known = code.valid() && bits + code.length() <= leap_bits;
      if (!known || (code.step() < HuffmanTable::block_end && step + code.step() >= 64)) break;
      bits += code.bits();
      step += code.step();
    }
    leaps_[first] = {bits, bits == 0 ? none : step};
  }
}

}  // namespace trainyard
