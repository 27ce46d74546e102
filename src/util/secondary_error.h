/// The error of a process that fails only because another one has failed.
#pragma once

#include <string_view>

#include "util/error.h"

namespace trainyard {

/// The cause is the error of another process, which the message is or names: a launcher that prints one error leaves
/// this out.
class SecondaryError : public RunError {
 public:
  /// tells: nobody else prints it on this host.
  SecondaryError(std::string_view where, std::string_view message, bool tells)
      : RunError(where, "{}", message), tells_(tells) {}

  bool tells() const { return tells_; }

 private:
  bool tells_;
};

}  // namespace trainyard
