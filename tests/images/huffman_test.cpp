#include "images/huffman.h"

#include <map>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "util/random.h"

namespace trainyard {
namespace {

using Bytes = std::vector<unsigned char>;

Bytes random_bytes(RandomStream& random, std::size_t size) {
  Bytes bytes(size);
  for (unsigned char& byte : bytes) byte = static_cast<unsigned char>(random.next());
  return bytes;
}

// Returns random bytes, about one in eight of which is 0xff.
Bytes bytes_to_stuff(RandomStream& random, std::size_t size) {
  Bytes bytes(size);
  for (unsigned char& byte : bytes) {
    byte = random.below(8) == 0 ? 0xff : static_cast<unsigned char>(random.next());
  }
  return bytes;
}

// Inserts a zero after each 0xff, as an encoder does.
Bytes stuffed(const Bytes& bytes) {
  Bytes result;
  for (const unsigned char byte : bytes) {
    result.push_back(byte);
    if (byte == 0xff) result.push_back(0);
  }
  return result;
}

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// Takes `size` bytes, a few bits at a time, or fewer if the bits end.
Bytes take(EntropyBits& bits, RandomStream& random, std::size_t size) {
  Bytes result;
  unsigned collected = 0;
  unsigned count = 0;
  while (result.size() < size) {
    std::optional<BitReader> reader = bits.reader();
    if (!reader) break;
    const auto some =
        static_cast<unsigned>(std::min<std::uint64_t>(1 + random.below(20), 8 * (size - result.size()) - count));
    reader->refill();
    for (unsigned i = 0; i < some; ++i) {
      collected = collected << 1 | reader->peek(1);
      reader->drop(1);
      if (++count < 8) continue;
      result.push_back(static_cast<unsigned char>(collected));
      count = collected = 0;
    }
    bits.resume_from(*reader);
  }
  return result;
}

TEST(EntropyBits, AreThoseOfTheBytesWithoutStuffedZeros) {
  RandomStream random(1);
  for (const std::size_t size : {1, 7, 100, 16'383, 16'384, 16'385, 100'000}) {
    const Bytes bytes = bytes_to_stuff(random, size);
    const Bytes file = stuffed(bytes) + Bytes{0xff, 0xd9};
    EntropyBits bits(file);
    EXPECT_EQ(take(bits, random, size), bytes) << size;
    EXPECT_TRUE(bits.reader()) << "the end itself is not beyond it";
  }
}

TEST(EntropyBits, TellThatTheyHaveBeenReadBeyondTheirEnd) {
  for (const Bytes& end : {Bytes{}, {0xff}, {0xff, 0xd9}, {0xff, 0xd0, 1, 2, 3, 4}}) {
    const Bytes file = Bytes{1, 2, 3} + end;
    EntropyBits bits(file);
    BitReader reader = bits.reader().value();
    reader.refill();
    EXPECT_EQ(reader.peek(30), 0x010203U << 6);
    reader.drop(24);
    bits.resume_from(reader);
    reader = bits.reader().value();
    reader.drop(1);
    bits.resume_from(reader);
    EXPECT_FALSE(bits.reader());
    EXPECT_FALSE(bits.restart(0));
  }
}

TEST(EntropyBits, RestartBehindTheMarkerOfTheNumber) {
  RandomStream random(2);
  const Bytes first = bytes_to_stuff(random, 40'000);
  const Bytes second = bytes_to_stuff(random, 40'000);
  const Bytes file = stuffed(first) + Bytes{0xff, 0xd0} + stuffed(second) + Bytes{0xff, 0xd1};
  for (const std::size_t taken : {0, 1, 20'000, 40'000}) {
    EntropyBits bits(file);
    take(bits, random, taken);
    ASSERT_TRUE(bits.restart(8)) << "numbers are told modulo 8";
    EXPECT_EQ(take(bits, random, 40'000), second);
  }
  EntropyBits bits(file);
  EXPECT_FALSE(bits.restart(1));
}

TEST(BitReader, GivesNumbersAsTheStandardExtendsThem) {
  // Two bits 00, 01, 10, 11 stand for -3, -2, 2, 3 (T.81, table F.1).
  for (const auto& [byte, number] : std::map<int, int>{{0b00, -3}, {0b01, -2}, {0b10, 2}, {0b11, 3}}) {
    const Bytes bytes(8, static_cast<unsigned char>(0b101 << 5 | byte << 3));
    BitReader reader{bytes.data()};
    reader.refill();
    EXPECT_EQ(reader.number(3, 2), number);
    EXPECT_EQ(reader.number(3, 0), 0);
  }
}

using Lengths = std::array<unsigned char, 16>;
using Symbols = std::array<unsigned char, 256>;

std::optional<HuffmanTable> table_of(const Lengths& lengths, const Symbols& symbols, unsigned largest = 255) {
  return HuffmanTable::of(lengths, symbols, largest);
}

// A table with random code lengths, and its codes as text of 0 and 1.
struct RandomTable {
  Lengths lengths{};
  Symbols symbols{};
  std::map<std::string, unsigned> codes;

  explicit RandomTable(RandomStream& random) {
    unsigned next = 0;
    std::size_t count = 0;
    for (unsigned length = 1; length <= 16; ++length, next *= 2) {
      const unsigned room = (1U << length) - 1 - next;
      const auto here = std::min<std::uint64_t>({random.below(1 + room), random.below(30), 256 - count});
      for (std::uint64_t i = 0; i < here; ++i, ++next) {
        std::string code;
        for (unsigned bit = length; bit > 0; --bit) code += next >> (bit - 1) & 1 ? '1' : '0';
        symbols[count] = static_cast<unsigned char>(random.next());
        codes[code] = symbols[count++];
      }
      lengths[length - 1] = static_cast<unsigned char>(here);
    }
  }
};

std::string text_of(const Bytes& bytes, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += bytes[i / 8] >> (7 - i % 8) & 1 ? '1' : '0';
  return text;
}

TEST(HuffmanTable, FindsTheCodeThatComesNext) {
  RandomStream random(3);
  int found = 0;
  for (int i = 0; i < 200; ++i) {
    const RandomTable made(random);
    const auto table = table_of(made.lengths, made.symbols);
    ASSERT_TRUE(table);
    for (int j = 0; j < 200; ++j) {
      const Bytes bytes = random_bytes(random, 8);
      BitReader reader{bytes.data()};
      reader.refill();
      const HuffmanTable::Code code = table->code(reader);
      const auto expected = [&]() -> std::map<std::string, unsigned>::const_iterator {
        for (std::size_t length = 1; length <= 16; ++length) {
          if (const auto place = made.codes.find(text_of(bytes, length)); place != made.codes.end()) return place;
        }
        return made.codes.end();
      }();
      ASSERT_EQ(code.valid(), expected != made.codes.end());
      if (!code.valid()) continue;
      ++found;
      const unsigned zeros = expected->second / 16;
      const unsigned size = expected->second % 16;
      EXPECT_EQ(code.length(), expected->first.size());
      EXPECT_EQ(code.size(), size);
      EXPECT_EQ(code.bits(), expected->first.size() + size);
      EXPECT_EQ(code.step(), size == 0 && zeros < 15 ? HuffmanTable::block_end : zeros + 1);
    }
  }
  EXPECT_GT(found, 1000);
}

TEST(HuffmanTable, RefusesWhatCannotBe) {
  const Symbols symbols{1, 2, 16};
  EXPECT_TRUE(table_of({0, 3}, symbols, 16));
  EXPECT_FALSE(table_of({0, 3}, symbols, 15)) << "a symbol above the largest";
  EXPECT_FALSE(table_of({0, 4}, symbols)) << "a code that is all ones";
  EXPECT_FALSE(table_of({0, 5}, symbols)) << "more codes than there are";
  Lengths many{};
  many[11] = 255;
  many[12] = 2;
  EXPECT_FALSE(table_of(many, symbols)) << "more codes than symbols";
}

TEST(LeapTable, LeapsAsFarAsTheCodesOneByOne) {
  RandomStream random(4);
  int longest = 0;
  for (int i = 0; i < 100; ++i) {
    const RandomTable made(random);
    const auto table = table_of(made.lengths, made.symbols);
    ASSERT_TRUE(table);
    const LeapTable leaps(*table);
    for (int j = 0; j < 400; ++j) {
      const Bytes bytes = random_bytes(random, 64);
      BitReader reader{bytes.data()};
      reader.refill();
      const LeapTable::Leap leap = leaps.leap(reader);
      if (leap.step() == LeapTable::none) {
        EXPECT_TRUE(!table->code(reader).valid() || table->code(reader).length() > 10);
        continue;
      }
      unsigned bits = 0;
      unsigned step = 0;
      int codes = 0;
      for (; bits < leap.bits(); ++codes) {
        ASSERT_LT(step, HuffmanTable::block_end) << "nothing follows the end of a block";
        const HuffmanTable::Code code = table->code(reader);
        ASSERT_TRUE(code.valid());
        reader.drop(code.bits());
        reader.refill();
        bits += code.bits();
        step += code.step();
      }
      EXPECT_EQ(bits, leap.bits());
      EXPECT_EQ(step, leap.step());
      longest = std::max(longest, codes);
    }
  }
  EXPECT_GT(longest, 2);
}

}  // namespace
}  // namespace trainyard
