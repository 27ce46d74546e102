#include "util/stack_limit.h"

#include <algorithm>

#include <pthread.h>
#include <sys/resource.h>

#include "util/error.h"
#include "util/system.h"

namespace trainyard {
namespace {

constexpr const char* where = "limits";
constexpr rlim_t usual = 8u << 20;
constexpr rlim_t least = 256u << 10;  // training on the CPU needs 80 KiB

// Does nothing if the C library has no memory for it: then the stacks stay as they are.
void enlarge_stacks_of_threads() {
  pthread_attr_t attributes;
  if (pthread_getattr_default_np(&attributes) != 0) return;
  std::size_t size = 0;
  if (pthread_attr_getstacksize(&attributes, &size) == 0 && size < usual &&
      pthread_attr_setstacksize(&attributes, usual) == 0) {
    pthread_setattr_default_np(&attributes);
  }
  pthread_attr_destroy(&attributes);
}

}  // namespace

void raise_stack_limit() {
  rlimit limit{};
  check_call(getrlimit(RLIMIT_STACK, &limit), where, "getrlimit", "stack");
  if (limit.rlim_max < least) {
    throw MachineError(where, "the stack is limited to {} KiB (`ulimit -Hs`), and {} KiB are needed; raise it: {}",
                       limit.rlim_max >> 10, least >> 10, "`ulimit -s 8192`, or in a container --ulimit stack=8388608");
  }
  if (limit.rlim_cur < usual) {
    limit.rlim_cur = std::min(usual, limit.rlim_max);
    check_call(setrlimit(RLIMIT_STACK, &limit), where, "setrlimit", "stack");
  }
  enlarge_stacks_of_threads();
}

}  // namespace trainyard
