#include "util/process_name.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <sstream>

#include <sys/prctl.h>

namespace trainyard {
namespace {

// The memory from which the kernel reads this process's command line: [begin, begin + size).
struct CommandLineMemory {
  char* begin = nullptr;
  std::size_t size = 0;
};

CommandLineMemory command_line_memory() {
  std::ifstream file("/proc/self/stat");
  std::string text;
  std::getline(file, text);
  // The second field is the name in parentheses and may contain anything; arg_start and arg_end are fields 48 and 49.
  std::istringstream fields(text.substr(std::min(text.rfind(')'), text.size() - 1) + 1));
  std::string skipped;
  for (int field = 3; field < 48; ++field) fields >> skipped;
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
  if (!(fields >> begin >> end) || begin == 0 || end <= begin) return {};
  return {reinterpret_cast<char*>(begin), end - begin};  // NOLINT(performance-no-int-to-ptr): an address from /proc
}

}  // namespace

void set_process_name(const std::string& name) {
  prctl(PR_SET_NAME, name.c_str());
  const CommandLineMemory memory = command_line_memory();
  if (memory.size < 2) return;
  const std::string title = "trainyard: " + name;
  std::memset(memory.begin, 0, memory.size);
  std::memcpy(memory.begin, title.data(), std::min(title.size(), memory.size - 1));
}

}  // namespace trainyard
