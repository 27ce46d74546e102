// What the fuzzer has found interesting, once more in every run of the tests.

#include <filesystem>

#include <gtest/gtest.h>

#include "fuzz/targets.h"
#include "util/system.h"

namespace trainyard {
namespace {

TEST(FuzzCorpus, CrashesNothing) {
  for (const auto& [name, target] : fuzz_targets()) {
    std::size_t files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(TRAINYARD_SOURCE_DIR "/tests/fuzz/corpus/" + name)) {
      SCOPED_TRACE(entry.path().string());
      target(Mapping::read_only_file(entry.path().string(), "test").bytes());
      ++files;
    }
    EXPECT_GT(files, 0u) << name;
  }
}

}  // namespace
}  // namespace trainyard
