/// libjpeg's errors. They come by longjmp, which must not leave out a destructor: every call into libjpeg is made from
/// a function that has nothing but plain C objects, begins with `if (setjmp(errors.jump) != 0) return false;` and so
/// says by `false` that the call failed.
#pragma once

#include <csetjmp>
#include <cstdio>  // jpeglib.h needs FILE

#include <jpeglib.h>

namespace trainyard {

/// What a libjpeg object's `err` points to. Lives as long as that object.
struct JpegErrors {
  JpegErrors() {
    jpeg_std_error(&base)->error_exit = [](j_common_ptr jpeg) { fail(jpeg); };
  }

  /// Jumps back with `text`, or with libjpeg's own message where there is none.
  [[noreturn]] static void fail(j_common_ptr jpeg, const char* text = nullptr) {
    auto* const errors = reinterpret_cast<JpegErrors*>(jpeg->err);
    if (text != nullptr) {
      std::snprintf(errors->message, sizeof errors->message, "%s", text);
    } else {
      errors->base.format_message(jpeg, errors->message);
    }
    std::longjmp(errors->jump, 1);
  }

  jpeg_error_mgr base{};  // first, so that libjpeg's pointer to it is a pointer to JpegErrors
  std::jmp_buf jump{};
  char message[JMSG_LENGTH_MAX]{};
};

}  // namespace trainyard
