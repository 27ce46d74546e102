/// Errors of a rank that have their cause on another one.
#pragma once

#include <string>

#include "util/error.h"

namespace trainyard {

/// Other ranks do not answer; why is not known here.
class RanksLost : public RunError {
 public:
  using RunError::RunError;
};

/// This rank fails because another one has failed, whose error the message is.
class SecondaryError : public RunError {
 public:
  /// tells: nobody else prints it on this host.
  SecondaryError(const std::string& message, bool tells) : RunError("distributed", "{}", message), tells_(tells) {}

  bool tells() const { return tells_; }

 private:
  bool tells_;
};

}  // namespace trainyard
