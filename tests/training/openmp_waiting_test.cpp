#include <gmock/gmock.h>

#include "support/subprocess.h"

namespace trainyard {
namespace {

using testing::HasSubstr;

// libgomp shows what it has read.
std::string settings_with(std::vector<std::string> environment) {
  environment.emplace_back("OMP_DISPLAY_ENV=true");
  return run_program({TRAINYARD_BINARY, "--version"}, environment).output;
}

TEST(OpenMpWaiting, ThreadsThatWaitSleep) { EXPECT_THAT(settings_with({}), HasSubstr("OMP_WAIT_POLICY = 'PASSIVE'")); }

TEST(OpenMpWaiting, TheEnvironmentWins) {
  EXPECT_THAT(settings_with({"OMP_WAIT_POLICY=ACTIVE"}), HasSubstr("OMP_WAIT_POLICY = 'ACTIVE'"));
}

}  // namespace
}  // namespace trainyard
