// Every input that fuzzing has kept, one that once went wrong or one that reaches far, on every run of the tests.

#include <filesystem>

#include <gtest/gtest.h>

#include "util/system.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace trainyard {
namespace {

TEST(FactsCorpus, IsReadOrRefusedAndNeverCrashes) {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(TRAINYARD_SOURCE_DIR "/tests/fuzz/facts")) {
    const std::string text = read_text_file(entry.path().string(), "test");
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
    ++files;
  }
  EXPECT_GT(files, 5);
}

}  // namespace
}  // namespace trainyard
