/// Declares the allowed values of settings. Ranges of numbers include both ends; NaN is never allowed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "config/value.h"

namespace trainyard {

Allowed any_text();
Allowed true_or_false();
Allowed whole(std::int64_t low, std::int64_t high);
Allowed number(double low, double high);
/// A non-negative integer that TOML can represent.
Allowed any_seed();
Allowed one_of(const std::vector<std::string>& words);
/// For numeric settings.
Allowed one_of(const std::vector<std::int64_t>& numbers);
/// A list of exactly `items` items.
Allowed list_of(std::size_t items, Allowed each);
/// auto, cpu, cuda, cuda:N, cuda:N,M,...
Allowed device_name();

}  // namespace trainyard
