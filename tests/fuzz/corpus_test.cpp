// Repeats the inputs in the fuzzer's corpus.

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
