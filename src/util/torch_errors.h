/// Words LibTorch's errors for people, and translates them into RunError.
#pragma once

#include <exception>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include <c10/util/Exception.h>

#include "util/error.h"
#include "util/text_lines.h"

namespace trainyard {

/// Returns LibTorch's error without its stack; of an allocation on the CPU that failed, only what a user needs.
inline std::string message_of(const c10::Error& error) {
  const std::string words = error.what_without_backtrace();
  constexpr std::string_view allocation = "you tried to allocate ";
  const std::size_t found = words.find(allocation);
  if (found == std::string::npos || words.find("DefaultCPUAllocator") == std::string::npos) {
    return fmt::format("[libtorch] {}", words);
  }
  const std::size_t begin = found + allocation.size();
  return fmt::format(
      "[libtorch] there is no memory for a tensor of {} bytes; lower loader.batch_size, or the size of the model or of "
      "its inputs and outputs",
      words.substr(begin, words.find_first_not_of("0123456789", begin) - begin));
}

/// The same for any error; that of others is their what().
inline std::string message_of(const std::exception& error) {
  const auto* const of_torch = dynamic_cast<const c10::Error*>(&error);
  return of_torch == nullptr ? error.what() : message_of(*of_torch);
}

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
