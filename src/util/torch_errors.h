/// Translates LibTorch's errors into RunError.
#pragma once

#include <string>
#include <string_view>

#include <c10/util/Exception.h>

#include "util/error.h"
#include "util/text_lines.h"

namespace trainyard {

/// Calls `work` and rethrows an error of LibTorch as RunError `[where] subject: its first line`. Use it for failures
/// caused by data that were read. `work` must compute on the CPU, because errors of a device must not be hidden this
/// way.
template <typename Work>
auto with_torch_errors(std::string_view where, std::string_view subject, Work work) {
  try {
    return work();
  } catch (const c10::Error& error) {
    const std::string words = error.what_without_backtrace();
    throw RunError(where, "{}: {}", subject, first_line(words));
  }
}

}  // namespace trainyard
