/// Writes small tables for tests.
#pragma once

#include <cstdint>
#include <string>

#include <fmt/format.h>

#include "support/temp_dir.h"
#include "util/random.h"

namespace trainyard {

/// Writes a table of `rows` rows to `path`: the numeric columns a and b, the categorical columns c (x, y, z) and d (0
/// to 3), the number price = 3 a - 2 b + 10 (c = y) + d, and the class size, derived from price (large, small).
inline void write_table(const TempDir& dir, const std::string& path, int rows) {
  std::string text = "a,c,b,d,price,size\n";
  for (int i = 0; i < rows; ++i) {
    RandomStream random(key_of({key_of(path), static_cast<std::uint64_t>(i)}));
    const double a = random.uniform();
    const double b = 100 + 50 * random.uniform();
    const std::uint64_t c = random.below(3);
    const std::uint64_t d = random.below(4);
    const double price = 3 * a - 2 * b + (c == 1 ? 10 : 0) + static_cast<double>(d);
    text += fmt::format("{:.6f},{},{:.4f},{},{:.5f},{}\n", a, "xyz"[c], b, d, price, price > -245 ? "large" : "small");
  }
  dir.write(path, text);
}

}  // namespace trainyard
