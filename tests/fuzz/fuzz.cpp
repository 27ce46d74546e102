// libFuzzer's entry point; TRAINYARD_FUZZ names the target.

#include <cstdio>
#include <cstdlib>

#include "fuzz/targets.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  static const auto target = [] {
    const char* const name = std::getenv("TRAINYARD_FUZZ");
    const auto found = trainyard::fuzz_targets().find(name == nullptr ? "" : name);
    if (found != trainyard::fuzz_targets().end()) return found->second;
    for (const auto& [known, function] : trainyard::fuzz_targets()) std::fprintf(stderr, "%s\n", known.c_str());
    std::fprintf(stderr, "set TRAINYARD_FUZZ to one of these\n");
    std::exit(2);
  }();
  target({reinterpret_cast<const std::byte*>(data), size});
  return 0;
}
