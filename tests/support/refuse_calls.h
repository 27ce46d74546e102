/// Simulates a kernel, or a container's seccomp profile, that refuses system calls.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <vector>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "util/system.h"

namespace trainyard {

/// Makes `calls` (SYS_...) fail with `error` in this process and its future children. Cannot be undone.
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

/// Makes creating a thread and forking fail with `error` in the calling thread and in programs that it starts.
inline void refuse_threads_and_forks(int error) {
  const auto answer = [](int number) { return SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(number); };
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 4,
               0),  // its flags are in memory, which a filter cannot read; the C library falls back to clone
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 2),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[0])),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_VFORK, 0, 2),  // posix_spawn is allowed
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, answer(ENOSYS)),
      BPF_STMT(BPF_RET | BPF_K, answer(error)),
  };
  const sock_fprog filter{std::size(program), program};
  check_call(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "test", "prctl", "no new privileges");
  check_call(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), "test", "prctl", "seccomp");
}

}  // namespace trainyard
