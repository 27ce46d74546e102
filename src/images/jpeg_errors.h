/// Reports libjpeg's errors by longjmp. Since longjmp must not skip destructors, every call into libjpeg is made from a
/// function that has only plain C objects and begins with `if (setjmp(errors.jump) != 0) return false;`, so it returns
/// false if the call failed.
#pragma once

#include <csetjmp>
#include <cstdio>  // jpeglib.h needs FILE

#include <jpeglib.h>

namespace trainyard {

/// The target of a libjpeg object's `err`. Must outlive that object.
struct JpegErrors {
  JpegErrors() {
    jpeg_std_error(&base)->error_exit = [](j_common_ptr jpeg) { fail(jpeg); };
  }

  /// Jumps back with `text`, or with libjpeg's own message if it is null.
  [[noreturn]] static void fail(j_common_ptr jpeg, const char* text = nullptr) {
    auto* const errors = reinterpret_cast<JpegErrors*>(jpeg->err);
    if (text != nullptr) {
      std::snprintf(errors->message, sizeof errors->message, "%s", text);
    } else {
      errors->base.format_message(jpeg, errors->message);
    }
    std::longjmp(errors->jump, 1);
  }

  jpeg_error_mgr base{};  // must be first: libjpeg's pointer to it is cast to JpegErrors
  std::jmp_buf jump{};
  char message[JMSG_LENGTH_MAX]{};
};

}  // namespace trainyard
