/// Waits for what a program prints.
#pragma once

#include <string>

#include <gtest/gtest.h>

#include "support/processes.h"
#include "support/subprocess.h"

namespace trainyard {

/// Waits until `process` has printed `words` so many times. Fails, with its output, if it ends before.
inline testing::AssertionResult prints(const Subprocess& process, const std::string& words, int times = 1) {
  bool ended = false;
  const bool printed = comes_true([&] {
    ended = has_ended(process.pid());  // first: what it prints last counts, too
    return count_of(process.output_so_far(), words) >= times || ended;
  });
  const std::string output = process.output_so_far();
  if (printed && count_of(output, words) >= times) return testing::AssertionSuccess();
  return testing::AssertionFailure() << (ended ? "It has ended" : "It still runs") << " without printing \"" << words
                                     << "\":\n"
                                     << output;
}

}  // namespace trainyard
