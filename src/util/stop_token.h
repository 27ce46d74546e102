/// Passes requests to stop and to save to a running training.
#pragma once

#include <atomic>

namespace trainyard {

/// The requests so far. Written from any thread or by a signal handler.
struct StopRequests {
  std::atomic<int> signal = 0;  ///< the signal that requested a stop; 0: none yet
  std::atomic<bool> save = false;
};
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<bool>::is_always_lock_free,
              "a signal handler may use nothing else");

/// A view of StopRequests, cheap to copy, for any thread. A default-constructed one never requests anything.
class StopToken {
 public:
  StopToken() = default;
  /// REQUIRES that `requests` outlives this token and its copies.
  explicit StopToken(StopRequests& requests) : requests_(&requests) {}

  bool stop_requested() const { return signal() != 0; }
  /// The signal that requested the stop; 0: none is requested.
  int signal() const { return requests_ == nullptr ? 0 : requests_->signal.load(); }
  /// Whether a save was requested since the last call on any token.
  bool take_save_request() const { return requests_ != nullptr && requests_->save.exchange(false); }

 private:
  StopRequests* requests_ = nullptr;
};

}  // namespace trainyard
