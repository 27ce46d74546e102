#include "datasets/idx.h"

#include <algorithm>

#include <gmock/gmock.h>

#include "support/error_of.h"
#include "support/idx_files.h"
#include "support/temp_dir.h"
#include "util/error.h"
#include "util/random.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class Idx : public testing::Test {
 protected:
  /// Returns the error of reading these bytes.
  std::string error(const std::string& bytes, const std::vector<std::size_t>& expected = {0, 2, 2}) {
    const std::string path = dir_.write("file", bytes);
    const std::string message = error_of<RunError>([&] { read_idx(path, expected); });
    EXPECT_THAT(message, AllOf(HasSubstr("[idx]"), HasSubstr(path), HasSubstr("expected")));
    return message;
  }

  TempDir dir_;
  const std::string good_ = idx_file({3, 2, 2}, "abcdefghijkl");
};

TEST_F(Idx, ReadsPlainFiles) {
  const IdxArray array = read_idx(dir_.write("file", good_), {0, 2, 2});
  EXPECT_THAT(array.dims, ElementsAre(3, 2, 2));
  ASSERT_EQ(array.values.size(), 12u);
  EXPECT_EQ(array.values.front(), std::byte{'a'});
  EXPECT_EQ(array.values.back(), std::byte{'l'});
  EXPECT_EQ(array.offset_of(0), 16u);
}

TEST_F(Idx, TellsGzipByContentNotByName) {
  const IdxArray gzipped = read_idx(dir_.write("gzip.bin", gzip(good_)), {0, 2, 2});
  const IdxArray plain = read_idx(dir_.write("plain.gz", good_), {0, 2, 2});
  EXPECT_THAT(gzipped.values, ::testing::ElementsAreArray(plain.values));
}

TEST_F(Idx, ReadsMoreThanOneStepOfGzip) {
  std::string values(5'000'000, '\0');
  RandomStream random(1);
  for (char& c : values) c = static_cast<char>(random.next());
  const IdxArray array = read_idx(dir_.write("file", gzip(idx_file({5'000'000}, values))), {0});
  EXPECT_TRUE(std::equal(values.begin(), values.end(), reinterpret_cast<const char*>(array.values.data())));
}

TEST_F(Idx, NamesAMissingFileAndAFolder) {
  EXPECT_THAT(error_of<RunError>([&] { read_idx(dir_ / "none", {0}); }), HasSubstr(dir_ / "none"));
  EXPECT_THAT(error_of<RunError>([&] { read_idx(dir_.path(), {0}); }), HasSubstr("not a regular file"));
}

TEST_F(Idx, NamesTheOffsetOfAWrongHeader) {
  EXPECT_THAT(error("PK\3\4 and so on, for long enough"),
              AllOf(HasSubstr("wrong magic number 0x504b0304 at byte 0"), HasSubstr("expected 0x00000803")));
  EXPECT_THAT(error(idx_file({3, 2, 2}, "abcdefghijkl", 0x0d)),
              AllOf(HasSubstr("element type 0x0d at byte 2"), HasSubstr("expected 0x08")));
  EXPECT_THAT(error(idx_file({3}, "abc")), AllOf(HasSubstr("1 dimensions at byte 3"), HasSubstr("expected 3")));
  EXPECT_THAT(error(idx_file({3, 2, 5}, std::string(30, 'x'))),
              AllOf(HasSubstr("dimension 2 at byte 12 is 5"), HasSubstr("expected 2")));
  EXPECT_THAT(error(idx_file({0, 2, 2}, "")),
              AllOf(HasSubstr("dimension 0 at byte 4 is 0"), HasSubstr("expected at least 1")));
}

TEST_F(Idx, RefusesAbsurdDimensionsBeforeTakingMemory) {
  EXPECT_THAT(error(idx_file({0xffffffff, 0xffffffff, 0xffffffff}, "abc"), {0, 0, 0}),
              HasSubstr("absurd dimensions 4294967295"));
  EXPECT_THAT(error(idx_file({1u << 30, 2}, "abc"), {0, 0}), HasSubstr("absurd dimensions 1073741824 x 2"));
}

TEST_F(Idx, NamesWhereATruncatedFileEnds) {
  EXPECT_THAT(error(""), HasSubstr("truncated: ends at byte 0"));
  EXPECT_THAT(error(good_.substr(0, 3)), HasSubstr("truncated: ends at byte 3"));
  EXPECT_THAT(error(good_.substr(0, 9)), HasSubstr("truncated: ends at byte 9"));
  EXPECT_THAT(error(good_.substr(0, 27)), AllOf(HasSubstr("truncated: ends at byte 27"), HasSubstr("28 bytes")));
  EXPECT_THAT(error(gzip(good_.substr(0, 27))), AllOf(HasSubstr("truncated: ends at byte 27"), HasSubstr("28 bytes")));
}

TEST_F(Idx, NamesTrailingBytes) {
  EXPECT_THAT(error(good_ + "m"), AllOf(HasSubstr("trailing bytes: ends at byte 29"), HasSubstr("28 bytes")));
  EXPECT_THAT(error(gzip(good_ + "m")), AllOf(HasSubstr("trailing bytes from byte 28"), HasSubstr("28 bytes")));
}

TEST_F(Idx, NamesABrokenGzipStream) {
  const std::string packed = gzip(good_);
  EXPECT_THAT(error(packed.substr(0, packed.size() / 2)), HasSubstr("unexpected end of file"));
  EXPECT_THAT(error(packed.substr(0, packed.size() - 3)), HasSubstr("unexpected end of file"));
  std::string wrong_checksum = packed;
  wrong_checksum[packed.size() - 8] ^= 1;
  EXPECT_THAT(error(wrong_checksum), HasSubstr("incorrect data check"));
}

TEST_F(Idx, StopsAtTheEndOfTheArrayInAGzipBomb) {
  EXPECT_THAT(error(gzip(good_ + std::string(50'000'000, '\0'))), HasSubstr("trailing bytes from byte 28"));
}

TEST_F(Idx, BelievesNoGzipHeaderThatClaimsAGibibyte) {
  EXPECT_THAT(error(gzip(idx_file({1u << 30}, "abc")), {0}), HasSubstr("truncated: ends at byte 11"));
}

TEST_F(Idx, SurvivesAnyDamage) {
  RandomStream random(2);
  for (const std::string& whole : {good_, gzip(good_)}) {
    for (int i = 0; i < 1'500; ++i) {
      std::string bytes = whole.substr(0, 1 + random.below(whole.size()));
      if (random.below(2) == 0) bytes = whole;
      for (auto changes = random.below(4); changes > 0; --changes) {
        bytes[random.below(bytes.size())] = static_cast<char>(random.next());
      }
      const std::string path = dir_.write("file", bytes);
      try {
        EXPECT_EQ(read_idx(path, {0, 2, 2}).values.size() % 4, 0u);
      } catch (const RunError& error) {
        EXPECT_THAT(error.what(), HasSubstr(path));
      }
    }
  }
}

}  // namespace
}  // namespace trainyard
