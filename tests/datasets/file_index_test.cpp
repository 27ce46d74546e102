#include "datasets/file_index.h"

#include <cstring>

#include <gmock/gmock.h>

#include "support/error_of.h"
#include "util/atomic_file.h"
#include "util/error.h"
#include "util/random.h"

namespace trainyard {
namespace {

using testing::HasSubstr;

FileIndex index_of_three() {
  FileIndex index;
  index.sources = {{"a.tar", 17, 1000}, {"folder", 18, 0}};
  index.class_names = {"cat", "dog"};
  index.add("one", {.offset = 512, .size = 10, .file = 0, .label = 1});
  index.add("two", {.offset = 2048, .size = 20, .file = 0, .label = 0});
  index.add("", {.size = 30, .file = 1, .label = 1});
  index.folder = "images";
  index.files = {12, 19};
  index.left_out = {{"litter", 2, {"._one", "._two"}}, {"dangling link", 1, {"three"}}};
  return index;
}

TEST(FileIndex, ComesBackAsItWas) {
  const FileIndex index = index_of_three();
  EXPECT_EQ(decode_index(encode_index(index, "key"), "key"), index);
  EXPECT_STREQ(index.name_of(1), "two");
}

TEST(FileIndex, IsRefusedUnderAnotherKey) {
  EXPECT_THAT(error_of<RunError>([] { decode_index(encode_index(index_of_three(), "key"), "other"); }),
              HasSubstr("something else"));
}

TEST(FileIndex, FingerprintDoesNotKnowTimesAndPaths) {
  FileIndex index = index_of_three();
  const std::uint64_t before = index.fingerprint();
  index.sources[0] = {"elsewhere/a.tar", 99, 1000};
  EXPECT_EQ(index.fingerprint(), before);
  index.entries[0].size += 1;
  EXPECT_NE(index.fingerprint(), before);
}

// The checksum is corrected, so that the damage reaches the parser.
TEST(FileIndex, SurvivesAnyDamage) {
  RandomStream random(6);
  const std::vector<std::byte> whole = encode_index(index_of_three(), "key");
  int refused = 0;
  for (int i = 0; i < 3'000; ++i) {
    std::vector<std::byte> bytes(whole.begin(),
                                 whole.begin() + static_cast<std::ptrdiff_t>(16 + random.below(whole.size() - 15)));
    for (auto changes = random.below(4); changes > 0; --changes) {
      bytes[random.below(bytes.size())] = static_cast<std::byte>(random.next());
    }
    const std::uint64_t checksum = crc32_of(std::span(bytes).subspan(16));
    std::memcpy(bytes.data() + 8, &checksum, sizeof checksum);
    try {
      const FileIndex index = decode_index(bytes, "key");
      for (std::size_t entry = 0; entry < index.entries.size(); ++entry) {
        ASSERT_LT(index.entries[entry].label, index.class_names.size());
        ASSERT_LE(std::strlen(index.name_of(entry)), index.names.size());
      }
    } catch (const RunError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 1'000);
}

}  // namespace
}  // namespace trainyard
