/// Measures work on a GPU, to choose the fastest of several ways to do it.
#pragma once

#include <functional>

namespace trainyard {

/// Returns the least time in milliseconds that several calls of `work` take on the current stream. Waits for the
/// device; REQUIRES that no CUDA graph is being captured.
float least_time(const std::function<void()>& work);

}  // namespace trainyard
