#include "check/remedy.h"

#include <algorithm>
#include <stdexcept>

#include "check/rules.h"

namespace trainyard {
namespace {

bool at_least(const Limit& limit, const std::string& value) {
  return !limit || (value != "unlimited" && *limit >= std::stoull(value));
}

bool at_most(int known, const std::string& value) { return known > 0 && known <= std::stoi(value); }

bool variable_is(const Facts& facts, const std::string& name, const std::string& value) {
  const std::string* set = rules::variable(facts, name);
  return value.empty() ? set == nullptr : set != nullptr && *set == value;
}

}  // namespace

bool already_applied(const Change& change, const Facts& facts, const Needs& needs) {
  const auto& [key, value] = change;
  const int branch = rules::major_of(rules::driver_version(facts));
  if (key == "train.device") return needs.device == value;
  if (key == "train.precision") return needs.precision == value;
  if (key == "loader.batch_size") return at_most(needs.batch_size, value);
  if (key == "train.threads") return at_most(needs.threads, value);
  if (key == "loader.cache") return !needs.keeps_samples;
  if (key == "loader.workers") return needs.workers <= std::stoi(value);
  if (key == "libtorch.cuda") return facts.torch.cuda_compiled == value;
  if (key == "driver") return branch >= std::stoi(value);
  if (key == "driver.most") return branch > 0 && branch <= std::stoi(value);
  if (key == "container.ipc") return facts.host.shares_ipc;
  if (key == "shared_memory") return facts.shared_memory.size > 0 && facts.shared_memory.size >= std::stoull(value);
  if (key == "limits.open_files") return at_least(facts.limits.open_files, value);
  if (key == "limits.processes") return at_least(facts.limits.processes, value);
  if (key == "limits.address_space") return at_least(facts.limits.address_space, value);
  if (key.starts_with("env.")) return variable_is(facts, key.substr(4), value);
  throw std::logic_error("no change is called " + key);
}

Remedy& Remedy::add(const std::string& words, const std::vector<Change>& changes) {
  const bool taken = std::any_of(changes.begin(), changes.end(),
                                 [&](const Change& change) { return already_applied(change, facts_, needs_); });
  if (taken) return *this;
  if (!words_.empty()) words_ += "; or ";
  words_ += words;
  changes_.insert(changes_.end(), changes.begin(), changes.end());
  return *this;
}

}  // namespace trainyard
