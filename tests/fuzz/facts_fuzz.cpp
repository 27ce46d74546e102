// What `trainyard check --facts` does with a file from anywhere: read it or refuse it in words, then judge and print.
// For libFuzzer (tests/CMakeLists.txt, target facts_fuzz); the kept inputs are in tests/fuzz/facts and run as a test.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include <nlohmann/json.hpp>

#include "check/check.h"
#include "check/facts_json.h"
#include "check/render.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace trainyard;
  try {
    Recorded recorded = recorded_from_json({reinterpret_cast<const char*>(data), size});
    Needs needs = recorded.needs.value_or(Needs{});
    for (const char* device : {"auto", "cuda:0"}) {
      needs.device = device;
      const CheckResult result = judge(recorded.facts, needs);
      render_full(result, {.colour = true, .verbose = true});
      to_json(result).dump();
    }
    explain_error(recorded.facts, needs, "cuda:0", recorded.facts.driver.init_error);
  } catch (const UsageError&) {  // the only way to refuse
  }
  return 0;
}
