#include "checkpoint/safetensors.h"

#include <cstring>
#include <ostream>

#include <gmock/gmock.h>

#include "checkpoint/test_folder.h"
#include "util/random.h"

namespace trainyard::safetensors {
namespace {

using testing::HasSubstr;

std::string with_length(const std::string& json, std::uint64_t length) {
  std::string file(8, '\0');
  std::memcpy(file.data(), &length, sizeof length);
  return file + json;
}

// Returns a file with this header and `data_bytes` bytes of data.
std::string file_of(const std::string& json, std::size_t data_bytes) {
  return with_length(json, json.size()) + std::string(data_bytes, 'd');
}

Header parse(const std::string& file) { return parse_header(std::as_bytes(std::span(file)), "x.safetensors"); }

std::string tensor(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

TEST(Safetensors, ReadsTensorsInTheOrderOfTheHeaderWithMetadata) {
  const Header header = parse(file_of(R"({"b":)" + tensor("F32", "[2,1]", "[2,10]") +
                                          R"(,"__metadata__":{"k":"v"},"a":)" + tensor("U8", "[2]", "[0,2]") + "}   ",
                                      10));
  ASSERT_EQ(header.tensors.size(), 2u);
  EXPECT_EQ(header.tensors[0], (TensorInfo{"b", ElementType::f32, {2, 1}, 2, 10}));
  EXPECT_EQ(header.tensors[1], (TensorInfo{"a", ElementType::u8, {2}, 0, 2}));
  EXPECT_EQ(header.metadata, (Metadata{{"k", "v"}}));
}

TEST(Safetensors, ReadsScalarsEmptyTensorsAndNoTensors) {
  const Header header =
      parse(file_of(R"({"e":)" + tensor("I64", "[0,3]", "[0,0]") + R"(,"s":)" + tensor("F64", "[]", "[0,8]") +
                        R"(,"z":)" + tensor("I8", "[5,0]", "[8,8]") + "}",
                    8));
  EXPECT_THAT(header.tensors, testing::SizeIs(3));
  EXPECT_THAT(parse(file_of("{}", 0)).tensors, testing::IsEmpty());
}

TEST(Safetensors, EveryTypeHasANameThatReadsBack) {
  for (int i = 0; i <= static_cast<int>(ElementType::c64); ++i) {
    const auto type = static_cast<ElementType>(i);
    EXPECT_EQ(element_type_of(name_of(type)), type);
  }
  EXPECT_EQ(element_type_of("F31"), std::nullopt);
}

TEST(Safetensors, WrittenHeaderReadsBackAlignedAndInOrder) {
  std::vector<TensorInfo> tensors = {{"bytes", ElementType::u8, {3}, 0, 0},
                                     {"wide \"\u00e9\n", ElementType::f64, {2, 2}, 0, 0},
                                     {"scalar", ElementType::bf16, {}, 0, 0},
                                     {"none", ElementType::f32, {4, 0}, 0, 0}};
  EXPECT_THAT(lay_out(tensors, "x"), testing::ElementsAre(1, 3, 2, 0));
  std::string file = format_header(tensors, {{"format", "pt"}}, "x");
  EXPECT_EQ(file.size() % 8, 0u);
  file.resize(file.size() + 32 + 2 + 3);
  const Header header = parse(file);
  EXPECT_EQ(header.tensors, tensors);
  EXPECT_EQ(header.metadata, (Metadata{{"format", "pt"}}));
  for (const TensorInfo& info : header.tensors) EXPECT_EQ(info.begin % size_of(info.type), 0u) << info.name;
}

TEST(Safetensors, RefusesToWriteBadNames) {
  const auto write = [](std::vector<std::string> names) {
    std::vector<TensorInfo> tensors;
    for (const std::string& name : names) tensors.push_back({name, ElementType::u8, {1}, 0, 1});
    return message_of<RunError>([&] { format_header(tensors, {}, "x.safetensors"); });
  };
  EXPECT_THAT(write({"a", "a"}), HasSubstr("\"a\""));
  EXPECT_THAT(write({""}), HasSubstr("empty"));
  EXPECT_THAT(write({"__metadata__"}), HasSubstr("reserved"));
  EXPECT_THAT(write({"\xff"}), HasSubstr("UTF-8"));
}

TEST(Safetensors, ByteSizeRefusesOverflowAlsoOfEmptyShapes) {
  const std::int64_t huge = std::int64_t{1} << 32;
  EXPECT_EQ(byte_size(ElementType::f32, std::vector<std::int64_t>{huge, 3}), std::size_t{12} << 32);
  EXPECT_EQ(byte_size(ElementType::f32, std::vector<std::int64_t>{0, 3}), 0u);
  EXPECT_EQ(byte_size(ElementType::f32, std::vector<std::int64_t>{huge, huge}), std::nullopt);
  EXPECT_EQ(byte_size(ElementType::u8, std::vector<std::int64_t>{0, huge, huge}), std::nullopt);
  EXPECT_EQ(byte_size(ElementType::u8, std::vector<std::int64_t>{-1}), std::nullopt);
}

struct Malformed {
  const char* name;
  std::string file;
  const char* message;  // part of the error
};

void PrintTo(const Malformed& malformed, std::ostream* out) { *out << malformed.name; }

class MalformedSafetensors : public testing::TestWithParam<Malformed> {};

TEST_P(MalformedSafetensors, IsRefusedWithFileReasonAndOffset) {
  const std::string message = message_of<RunError>([] { parse(GetParam().file); });
  EXPECT_THAT(message, HasSubstr("[safetensors] x.safetensors: "));
  EXPECT_THAT(message, HasSubstr(GetParam().message));
  EXPECT_THAT(message, HasSubstr("at offset"));
}

const std::string good = tensor("U8", "[2]", "[0,2]");

INSTANTIATE_TEST_SUITE_P(
    Kinds, MalformedSafetensors,
    testing::Values(
        Malformed{"SevenBytes", std::string(7, 'a'), "7 bytes, too few"},                               //
        Malformed{"HeaderTooLarge", with_length("{}", 100'000'001), "over the limit"},                  //
        Malformed{"HeaderLengthAllOnes", std::string(16, '\xff'), "over the limit"},                    //
        Malformed{"HeaderPastTheEnd", with_length("{}", 3), "a header of 3 bytes in a file of 10"},     //
        Malformed{"HeaderEmpty", with_length("", 0), "does not begin with '{'"},                        //
        Malformed{"HeaderBeginsWithSpace", file_of(" {}", 0), "does not begin with '{'"},               //
        Malformed{"HeaderBeginsWithMark", file_of("\xef\xbb\xbf{}", 0), "does not begin with '{'"},     //
        Malformed{"HeaderIsList", file_of("[]", 0), "does not begin with '{'"},                         //
        Malformed{"BadUtf8", file_of("{\"\xff\":" + good + "}", 2), "not JSON in UTF-8"},               //
        Malformed{"HalfSurrogate", file_of(R"({"\ud800":)" + good + "}", 2), "not JSON in UTF-8"},      //
        Malformed{"BadJson", file_of("{\"a\":", 2), "at offset 13"},                                    //
        Malformed{"SecondValue", file_of("{}{}", 0), "not JSON in UTF-8"},                              //
        Malformed{"ZeroAfterHeader", file_of(std::string("{}\0", 3), 0), "a zero byte, at offset 10"},  //
        Malformed{"DuplicateTensor", file_of(R"({"a":)" + good + R"(,"a":)" + good + "}", 2), "\"a\" comes twice"},
        Malformed{"DuplicateMetadata", file_of(R"({"__metadata__":{},"__metadata__":{}})", 0), "comes twice"},
        Malformed{"DuplicateMetadataKey", file_of(R"({"__metadata__":{"k":"1","k":"2"}})", 0), "comes twice"},
        Malformed{"DuplicateField", file_of(R"({"a":{"dtype":"U8","dtype":"U8","shape":[2],"data_offsets":[0,2]}})", 2),
                  "twice"},
        Malformed{"MetadataNumber", file_of(R"({"__metadata__":{"k":1}})", 0), "must be a string"},         //
        Malformed{"MetadataNested", file_of(R"({"__metadata__":{"k":{}}})", 0), "must be a string"},        //
        Malformed{"MetadataText", file_of(R"({"__metadata__":"k"})", 0), "must be an object"},              //
        Malformed{"TensorNull", file_of(R"({"a":null})", 0), "must be an object"},                          //
        Malformed{"UnknownType", file_of(R"({"a":)" + tensor("F31", "[2]", "[0,2]") + "}", 2), "\"F31\""},  //
        Malformed{"TypeNumber", file_of(R"({"a":{"dtype":7}})", 0), "a number in its \"dtype\""},           //
        Malformed{"UnknownField", file_of(R"({"a":{"strides":[1]}})", 0), "\"strides\""},                   //
        Malformed{"FieldMissing", file_of(R"({"a":{"dtype":"U8","shape":[2]}})", 2), "lacks"},              //
        Malformed{"ShapeNegative", file_of(R"({"a":)" + tensor("U8", "[-2]", "[0,2]") + "}", 2), "negative"},
        Malformed{"ShapeFloat", file_of(R"({"a":)" + tensor("U8", "[2.0]", "[0,2]") + "}", 2), "not a whole"},
        Malformed{"ShapeNested", file_of(R"({"a":)" + tensor("U8", "[[2]]", "[0,2]") + "}", 2), "an array"},
        Malformed{"ShapeText", file_of(R"({"a":)" + tensor("U8", R"(["2"])", "[0,2]") + "}", 2), "a string"},
        Malformed{"ShapeNumber", file_of(R"({"a":)" + tensor("U8", "2", "[0,2]") + "}", 2),
                  "a number in its \"shape\""},
        Malformed{"ShapeOver63Bits", file_of(R"({"a":)" + tensor("U8", "[9223372036854775808]", "[0,2]") + "}", 2),
                  "over 63 bits"},
        Malformed{"ShapeOver64Bits", file_of(R"({"a":)" + tensor("U8", "[99999999999999999999]", "[0,2]") + "}", 2),
                  "not a whole"},
        Malformed{"ShapeProductOverflow",
                  file_of(R"({"a":)" + tensor("U8", "[4294967296,4294967296,2]", "[0,2]") + "}", 2), "overflows"},
        Malformed{"ShapeBytesOverflow", file_of(R"({"a":)" + tensor("F64", "[2305843009213693952]", "[0,2]") + "}", 2),
                  "overflows"},
        Malformed{"ManyDimensions",
                  file_of(
                      R"({"a":{"shape":[1)" +
                          [] {
                            std::string ones;
                            for (int i = 0; i < 64; ++i) ones += ",1";
                            return ones;
                          }() +
                          "]}}",
                      0),
                  "more than 64 dimensions"},
        Malformed{"OffsetsNegative", file_of(R"({"a":)" + tensor("U8", "[2]", "[-1,1]") + "}", 2), "negative"},
        Malformed{"OffsetsFloat", file_of(R"({"a":)" + tensor("U8", "[2]", "[0.5,2]") + "}", 2), "not a whole"},
        Malformed{"OffsetsOne", file_of(R"({"a":)" + tensor("U8", "[2]", "[2]") + "}", 2), "two are needed"},
        Malformed{"OffsetsThree", file_of(R"({"a":)" + tensor("U8", "[2]", "[0,2,2]") + "}", 2), "a number"},
        Malformed{"OffsetsBackwards", file_of(R"({"a":)" + tensor("U8", "[2]", "[2,0]") + "}", 2), "before its begin"},
        Malformed{"OffsetsHuge",
                  file_of(R"({"a":)" + tensor("U8", "[2]", "[18446744073709551613,18446744073709551615]") + "}", 2),
                  "a hole"},
        Malformed{"SizeMismatch", file_of(R"({"a":)" + tensor("F32", "[2]", "[0,2]") + "}", 2), "needs 8 bytes"},
        Malformed{"EmptyWithBytes", file_of(R"({"a":)" + tensor("F32", "[0]", "[0,2]") + "}", 2), "needs 0 bytes"},
        Malformed{"ScalarMismatch", file_of(R"({"a":)" + tensor("F32", "[]", "[0,2]") + "}", 2), "needs 4 bytes"},
        Malformed{"HoleAtTheStart", file_of(R"({"a":)" + tensor("U8", "[2]", "[1,3]") + "}", 3), "a hole of 1 bytes"},
        Malformed{"HoleBetween", file_of(R"({"a":)" + good + R"(,"b":)" + tensor("U8", "[1]", "[3,4]") + "}", 4),
                  "a hole of 1 bytes before tensor \"b\""},
        Malformed{"Overlap", file_of(R"({"a":)" + good + R"(,"b":)" + tensor("U8", "[2]", "[1,3]") + "}", 3),
                  "\"b\" overlaps"},
        Malformed{"SamePlace", file_of(R"({"a":)" + good + R"(,"b":)" + good + "}", 2), "overlaps"},
        Malformed{"CutOff", file_of(R"({"a":)" + good + "}", 1), "1 bytes past the end"},
        Malformed{"TrailingBytes", file_of(R"({"a":)" + good + "}", 3), "1 bytes that belong to no tensor"},
        Malformed{"TrailingBytesWithoutTensors", file_of("{}", 1), "belong to no tensor"}),
    [](const auto& param) { return std::string(param.param.name); });

TEST(Safetensors, DeepNestingIsRefusedWithoutRecursion) {
  EXPECT_THROW(parse(file_of(R"({"a":)" + std::string(1 << 20, '['), 0)), RunError);
}

TEST(Safetensors, ErrorsShowHostileNamesShortAndEscaped) {
  const std::string message =
      message_of<RunError>([] { parse(file_of("{\"" + std::string(1 << 20, 'x') + R"(\u001b[31m":1})", 0)); });
  EXPECT_LT(message.size(), 300u);
  const std::string escaped = message_of<RunError>([] { parse(file_of(R"({"\u001b[31m":1})", 0)); });
  EXPECT_THAT(escaped, HasSubstr("\\x1b[31m"));
}

TEST(Safetensors, MutatedFilesAreReadConsistentlyOrRefused) {
  const std::string seed =
      file_of(R"({"__metadata__":{"format":"pt"},"a":)" + tensor("F32", "[2,3]", "[0,24]") + R"(,"b":)" +
                  tensor("I64", "[]", "[24,32]") + R"(,"c":)" + tensor("BF16", "[0,7]", "[32,32]") + "}",
              32);
  const std::string alphabet = "{}[]\",:0123456789-.eE\\u \xff\x80\x01";
  RandomStream random(key_of("safetensors mutations"));
  int refused = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string file = seed;
    for (std::uint64_t edits = 1 + random.below(4); edits > 0 && !file.empty(); --edits) {
      const std::size_t place = random.below(file.size());
      switch (random.below(5)) {
        case 0:
          file[place] = static_cast<char>(random.next());
          break;
        case 1:
          file[place] = alphabet[random.below(alphabet.size())];
          break;
        case 2:
          file.erase(place, 1 + random.below(8));
          break;
        case 3:
          file.insert(place, file.substr(random.below(file.size()), random.below(40)));
          break;
        default:
          file.resize(place);
      }
    }
    try {
      for (const Header header = parse(file); const TensorInfo& info : header.tensors) {
        ASSERT_LE(info.begin, info.end);
        ASSERT_LE(info.end, file.size() - header.data_begin);
        ASSERT_EQ(byte_size(info.type, info.shape), info.end - info.begin);
      }
    } catch (const RunError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 10'000);
}

}  // namespace
}  // namespace trainyard::safetensors
