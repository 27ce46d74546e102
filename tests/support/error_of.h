/// Returns the message of the error that a call throws.
#pragma once

#include <string>

#include <gtest/gtest.h>

namespace trainyard {

/// Returns the message of the `Expected` error that `call` throws; fails the test if it throws none.
template <typename Expected, typename Call>
std::string error_of(Call call) {
  try {
    call();
  } catch (const Expected& error) {
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

}  // namespace trainyard
