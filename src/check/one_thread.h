/// Keeps LibTorch on one thread.
#pragma once

namespace trainyard {

/// While it lives, LibTorch's operators run on the calling thread, and no pool of threads is started.
class OneThread {
 public:
  OneThread();
  ~OneThread();
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

}  // namespace trainyard
