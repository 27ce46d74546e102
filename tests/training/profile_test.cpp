#include "training/profile.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "support/error_of.h"
#include "support/temp_dir.h"
#include "util/error.h"
#include "util/system.h"

namespace trainyard {
namespace {

using testing::HasSubstr;

constexpr StepRange second_step{.first = 2, .last = 2};

class ProfileFile : public testing::Test {
 protected:
  // As many steps as a run of that length makes.
  void run(int steps) const {
    Profile profile(second_step, trace_, at::kCPU);
    for (int i = 0; i < steps; ++i) {
      at::ones({3}).add(1);
      profile.step_done();
    }
  }

  TempDir dir_;
  std::string trace_ = dir_ / "trace.json";
};

TEST_F(ProfileFile, ReplacesAnOlderTrace) {
  dir_.write("trace.json", "old");
  run(3);
  EXPECT_TRUE(nlohmann::json::parse(read_text_file(trace_, "test")).contains("traceEvents"));
}

TEST_F(ProfileFile, IsNotWrittenIfTheRunEndsBeforeTheRange) {
  run(1);
  EXPECT_FALSE(std::filesystem::exists(trace_));
}

TEST_F(ProfileFile, ThatCannotBeReplacedIsAnError) {
  dir_.write("trace.json/old", "");  // a folder
  EXPECT_THAT(error_of<RunError>([&] { run(2); }), HasSubstr(trace_));
}

}  // namespace
}  // namespace trainyard
