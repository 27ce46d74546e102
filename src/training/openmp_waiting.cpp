// OpenMP threads that wait for each other sleep. LibTorch's runtime, libgomp, lets them spin, which is a little faster
// on cores that nobody else wants; but loader workers do want them, and so do a compiler or another container, and a
// step then takes several times as long. OMP_WAIT_POLICY and GOMP_SPINCOUNT in the environment win over this.
#include <cstdlib>

namespace trainyard {
namespace {

void set_wait_policy() { setenv("OMP_WAIT_POLICY", "PASSIVE", /*overwrite=*/0); }

// The runtime reads its environment when it is loaded: before main, and before constructors of ours.
[[gnu::section(".preinit_array"), gnu::used]] void (*const before_libraries)() = set_wait_policy;

}  // namespace
}  // namespace trainyard
