#include "datasets/fingerprint.h"

#include <set>
#include <vector>

#include <gmock/gmock.h>

namespace trainyard {
namespace {

TEST(Fingerprint, DependsOnEveryByteOnTheSizeAndOnTheKey) {
  std::vector<std::byte> bytes(19);
  std::set<std::uint64_t> seen{fingerprint(0, bytes), fingerprint(1, bytes)};
  for (std::byte& byte : bytes) {
    byte = std::byte{1};
    seen.insert(fingerprint(0, bytes));
    byte = std::byte{0};
  }
  for (std::size_t size = 0; size < bytes.size(); ++size) seen.insert(fingerprint(0, std::span(bytes).first(size)));
  EXPECT_EQ(seen.size(), 2 + 2 * bytes.size());
}

}  // namespace
}  // namespace trainyard
