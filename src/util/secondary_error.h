/// An error of a process that fails only because another process has failed.
#pragma once

#include <string_view>

#include "util/error.h"

namespace trainyard {

/// The message is or names the error of another process. A launcher that prints a single error omits this one.
class SecondaryError : public RunError {
 public:
  /// `tells`: no other process on this host prints it.
  SecondaryError(std::string_view where, std::string_view message, bool tells)
      : RunError(where, "{}", message), tells_(tells) {}

  bool tells() const { return tells_; }

 private:
  bool tells_;
};

}  // namespace trainyard
