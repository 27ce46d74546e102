#include <gmock/gmock.h>

#include "support/processes.h"
#include "support/ranks.h"
#include "support/temp_dir.h"
#include "support/tiny_training.h"

namespace trainyard {
namespace {

std::string command_line_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/cmdline", std::ios::binary);
  std::string text;
  std::getline(file, text, '\0');
  return text;
}

TEST(TrainOnRanks, EachRankSetsItsProcessTitle) {
  const TempDir dir;
  const Ranks ranks(2, tiny_training(dir / "runs", "run", "100000"));
  for (std::size_t rank = 0; rank < 2; ++rank) {
    const std::string title = "trainyard: rank " + std::to_string(rank) + " of 2";
    EXPECT_TRUE(comes_true([&] { return command_line_of(ranks[rank].pid()) == title; })) << ranks[rank].output_so_far();
  }
}

}  // namespace
}  // namespace trainyard
