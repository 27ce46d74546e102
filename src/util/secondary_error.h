/// An error of a process that fails only because another process has failed.
#pragma once

#include <string_view>

#include "util/error.h"

namespace trainyard {

/// The message is or names the error of another process. A launcher that prints a single error omits this one.
class SecondaryError : public Error {
 public:
  /// `code`: of the other process. `must_print`: no other process on this host prints it.
  SecondaryError(ExitCode code, std::string_view where, std::string_view message, bool must_print)
      : Error(code, where, message), must_print_(must_print) {}

  bool must_print() const { return must_print_; }

 private:
  bool must_print_;
};

}  // namespace trainyard
