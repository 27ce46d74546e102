/// A kernel, or a container's seccomp profile, that refuses system calls.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <vector>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "util/system.h"

namespace trainyard {

/// Makes the kernel answer `calls` (SYS_...) of this process and those it will fork with `error`, for good.
inline void refuse_calls(std::initializer_list<long> calls, int error) {
  std::vector<sock_filter> program = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
  for (const long call : calls) {
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(call), 0, 1));
    program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error)));
  }
  program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  check_call(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "test", "prctl", "no new privileges");
  check_call(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), "test", "prctl", "seccomp");
}

}  // namespace trainyard
