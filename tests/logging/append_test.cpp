#include "logging/append.h"

#include <fcntl.h>
#include <gmock/gmock.h>

#include "support/error_of.h"
#include "support/tmpfs.h"
#include "util/error.h"
#include "util/system.h"

namespace trainyard {
namespace {

TEST(AppendRecord, LeavesNothingOfARecordThatDoesNotFit) {
  Tmpfs disk(64);
  if (!disk.mounted()) GTEST_SKIP() << "this process may not mount a file system";
  const std::string path = disk.path() + "/metrics.jsonl";
  {
    const UniqueFd fd(open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
    append_record(fd.get(), "first\n", path);
    const std::string large(10'000, 'x');
    disk.fill_up();
    EXPECT_THAT(error_of<RunError>([&] { append_record(fd.get(), large, path); }),
                testing::HasSubstr("metrics.jsonl): No space left on device"));
    disk.make_room();
    append_record(fd.get(), "second\n", path);
  }
  EXPECT_EQ(read_text_file(path, "test"), "first\nsecond\n");
}

}  // namespace
}  // namespace trainyard
