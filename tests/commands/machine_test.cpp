#include "commands/machine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/ops/mm.h>

#include "check/machines.h"
#include "support/error_of.h"

namespace trainyard {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

CheckResult checked(Facts facts) {
  Needs needs;
  needs.device = "cuda";
  needs.batch_size = 256;
  return judge(std::move(facts), needs);
}

TEST(WithExplainedErrors, AnErrorOfTheDeviceEndsWithRemedyAndCode) {
  const CheckResult check = checked(machines::with_gpus(1));
  const std::string text = error_of<RunError>([&] {
    with_explained_errors(check, at::Device("cuda:0"), [] {
      TORCH_CHECK(false,
                  "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.19 GiB of "
                  "which 1.00 GiB is free. ");
    });
  });
  EXPECT_THAT(text, StartsWith("[training] cuda:0 NVIDIA H200 is out of memory: 2.00 GiB asked for, 1.00 GiB free"));
  EXPECT_THAT(text, HasSubstr("--loader.batch_size 128 (it is 256)"));
  EXPECT_THAT(text, EndsWith(" (gpu-out-of-memory)"));
}

TEST(WithExplainedErrors, AnErrorOfTheModelStaysAsItIs) {
  const CheckResult check = checked(machines::with_gpus(1));
  for (const char* device : {"cpu", "cuda:0"}) {
    EXPECT_THROW(with_explained_errors(check, at::Device(device),
                                       [] { return at::mm(at::zeros({2, 3}), at::zeros({4, 5})).numel(); }),
                 c10::Error);
  }
}

TEST(WithExplainedErrors, WhatTheWorkReturnsComesBack) {
  EXPECT_EQ(with_explained_errors(checked(machines::cpu_only()), at::Device("cpu"), [] { return 7; }), 7);
}

TEST(PrepareDevice, AnErrorOfTheCheckStopsTheRunWithRemedyAndCode) {
  Facts facts = machines::cpu_only();
  facts.folders[0].usable = false;
  Config config;
  config.train.device = "cpu";
  const CheckResult check = judge(std::move(facts), needs_of(config));
  const std::string text = error_of<MachineError>([&] { prepare_device(config, check); });
  EXPECT_THAT(text, EndsWith("(run-dir-unwritable)"));
}

TEST(DeviceNeeds, AskForNothingButTheDevice) {
  Config config;
  config.train.device = "cpu";
  Facts facts = machines::cpu_only();
  facts.folders.clear();
  EXPECT_TRUE(judge(facts, device_needs_of(config)).findings.empty());
}

}  // namespace
}  // namespace trainyard
