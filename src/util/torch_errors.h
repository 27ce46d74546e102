/// Errors of LibTorch in words of ours.
#pragma once

#include <string>
#include <string_view>

#include <c10/util/Exception.h>

#include "util/error.h"

namespace trainyard {

/// Does `work`. An error of LibTorch becomes RunError `[where] subject: its first line`: for what fails because of data
/// that were read. An error of a device must not be hidden so: `work` computes on the CPU.
template <typename Work>
auto with_torch_errors(std::string_view where, std::string_view subject, Work work) {
  try {
    return work();
  } catch (const c10::Error& error) {
    const std::string words = error.what_without_backtrace();
    throw RunError(where, "{}: {}", subject, words.substr(0, words.find('\n')));
  }
}

}  // namespace trainyard
