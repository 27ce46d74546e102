#include "checkpoint/prove_saving.h"

#include <fstream>

#include <gmock/gmock.h>

#include "checkpoint/manifest_example.h"
#include "checkpoint/test_folder.h"
#include "support/error_of.h"
#include "util/torch.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;

Checkpoint example() {
  Checkpoint checkpoint;
  checkpoint.manifest = valid_manifest(1);
  checkpoint.model = {{"weight", at::zeros({2})}};
  checkpoint.state = {{"momentum", at::zeros({2})}};
  return checkpoint;
}

TEST(ProveSaving, RefusesAFolderInPlaceOfALink) {
  const TestFolder folder;
  fs::create_directory(folder / "best");
  EXPECT_THAT(error_of<RunError>([&] { prove_saving(folder.path(), example(), {}, 1); }),
              testing::HasSubstr("could not save its checkpoints: best is a folder, not a link"));
  prove_saving(folder.path(), example(), {.keep_best = false}, 1);
}

TEST(ProveSaving, PassesOverADamagedCheckpoint) {
  const TestFolder folder;
  std::ofstream(folder / "step-00000001") << "no folder";
  fs::create_symlink("step-00000002", folder / "step-00000002");
  EXPECT_GT(prove_saving(folder.path(), example(), {}, 1).checkpoint, 0u);
}

}  // namespace
}  // namespace trainyard
