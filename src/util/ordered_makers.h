/// Several processes that make things for one that takes them in order: thing i comes from process i modulo their
/// number, through a pipe, whose room lets each work ahead. Nothing is shared, so the order does not depend on
/// anything.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include <sys/types.h>

#include "util/process_end.h"
#include "util/system.h"

namespace trainyard {

/// For one thread. Its processes end with it, and with the process that made it.
class OrderedMakers {
 public:
  /// The bytes of thing `index`, valid until the next call. What it throws, next() throws.
  using Make = std::function<std::span<const std::byte>(std::size_t index)>;

  /// Things 0 to count - 1, by so many processes; by this one where `processes` is 0. Errors begin with [where].
  /// REQUIRES that this process has no other threads, as it forks. Throws RunError.
  OrderedMakers(std::size_t count, int processes, Make make, std::string where);
  OrderedMakers(const OrderedMakers&) = delete;
  OrderedMakers& operator=(const OrderedMakers&) = delete;
  ~OrderedMakers();

  /// The next thing, valid until the next call. REQUIRES that fewer than `count` have been taken. Throws what `make`
  /// threw, as the same kind of Error, and RunError if the process that made it has died; another takes its place, and
  /// the next call returns the thing after it.
  std::span<const std::byte> next();

 private:
  struct Maker {
    pid_t pid;
    UniqueFd pipe;
  };

  Maker fork_maker(std::size_t first);
  void read_from(Maker& maker, std::span<std::byte> bytes);
  [[noreturn]] void throw_death(Maker& maker);

  std::size_t count_;
  std::size_t step_;  ///< processes
  std::size_t taken_ = 0;
  Make make_;
  std::string where_;
  ProcessEnds ends_;
  std::vector<Maker> makers_;
  std::vector<std::byte> thing_;
};

}  // namespace trainyard
