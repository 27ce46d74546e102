#include "training/trainer.h"

#include <gtest/gtest.h>
#include <signal.h>

#include "support/checkable_pool.h"
#include "support/temp_dir.h"
#include "training/stop_signal.h"

namespace trainyard {
namespace {

TEST(Trainer, ASignalToStopWhileSplitsAreReadOntoTheDeviceEndsTheRunBeforeAStep) {
  const TempDir dir;
  Config config;
  config.model.name = "resnet18";  // takes images of 37×1
  config.loader.cache = "gpu";     // read onto the CPU all the same
  int read = 0;
  WorkerPool pool({.workers = 0, .batch_size = 1}, checkable(100, 100, [&read](std::size_t) {
                    if (++read == 3) raise(SIGTERM);
                  }));
  const StopSignal stop_signal;
  Trainer trainer(config, pool, at::kCPU, {.path = dir / "run", .checkpoint = std::nullopt});
  const RunResult result = trainer.run();
  EXPECT_EQ(result.signal, SIGTERM);
  EXPECT_EQ(result.steps, 0);
  EXPECT_LT(read, 50);
}

}  // namespace
}  // namespace trainyard
