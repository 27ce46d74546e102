/// Appends records to the files of a run's metrics.
#pragma once

#include <string>
#include <string_view>

namespace trainyard {

/// Appends `record` to the file `path`, which is open for writing as `fd`. Throws RunError if it cannot be written
/// whole; then nothing of it stays, because the next record would continue it.
void append_record(int fd, std::string_view record, const std::string& path);

}  // namespace trainyard
