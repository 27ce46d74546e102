/// What a call complains about.
#pragma once

#include <string>

#include <gtest/gtest.h>

namespace trainyard {

/// The message of the `Expected` error that `call` throws; without one the test fails.
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
