#include "config/given.h"

#include <algorithm>
#include <cctype>
#include <cstring>

#include "config/component.h"
#include "config/settings.h"
#include "util/printable.h"

namespace trainyard {
namespace {

const Given* find_given(const std::vector<Given>& all, const std::string& key) {
  const auto found = std::ranges::find(all, key, &Given::key);
  return found == all.end() ? nullptr : &*found;
}

// Whether the text contains the key as a word of its own. A key in quotes is one that the error suggests.
bool names(const std::string& text, const std::string& key) {
  const auto belongs_to_a_word = [&](std::size_t at, const char* more) {
    return at < text.size() && (std::isalnum(static_cast<unsigned char>(text[at])) != 0 || std::strchr(more, text[at]));
  };
  for (std::size_t at = 0; (at = text.find(key, at)) != std::string::npos; at += key.size()) {
    if (!belongs_to_a_word(at - 1, "_.'{") && !belongs_to_a_word(at + key.size(), "_'}")) return true;
  }
  return false;
}

std::string in_words(const Setting& setting) {
  const Value value = value_of(setting.field);
  const auto* const text = std::get_if<std::string>(&value.of);
  if (text == nullptr) return toml_value(value);
  return text->empty() ? "empty" : printable(*text, 100);
}

}  // namespace

void add_layer(std::vector<Given>& all, const std::vector<Given>& layer) {
  const std::size_t number = all.empty() ? 0 : all.back().layer + 1;
  std::erase_if(all, [&](const Given& before) { return find_given(layer, before.key) != nullptr; });
  for (const Given& given : layer) all.push_back({given.key, given.place, number});
}

void refuse(const Given& given, const std::string& what) {
  if (given.place.empty()) throw UsageError("trainyard", "--{} {}", given.key, what);
  throw UsageError("config", "{}: {} {}", given.place, given.key, what);
}

std::vector<std::string> require_used(const std::vector<Given>& all, Config& config) {
  std::vector<std::string> notes;
  const std::vector<Setting> settings = settings_in(config);
  for (const Given& given : all) {
    const Setting& setting = *find_setting(settings, given.key);
    if (setting.selected) continue;
    const std::string selector = setting.component->section + ".name";
    const Given* const selecting = find_given(all, selector);
    std::string reason = reason_unselected(settings, setting);
    if (selecting) reason += fmt::format(" ({})", selecting->place.empty() ? "--" + selector : selecting->place);
    if (!selecting || selecting->layer <= given.layer) {
      refuse(given, fmt::format("{}; set {}, or drop it", reason, selector));
    }
    notes.push_back(fmt::format("[config] {}: {} is not used: it {}", given.place, given.key, reason));
  }
  return notes;
}

std::vector<std::string> require_effect(const std::vector<Given>& all, Config& config) {
  std::vector<std::string> notes;
  Config defaults;
  const std::vector<Setting> unchanged = settings_in(defaults);
  const std::vector<Setting> settings = settings_in(config);
  for (const Given& given : all) {
    const Setting& setting = *find_setting(settings, given.key);
    const Setting& initial = *find_setting(unchanged, given.key);
    const bool is_default = toml_value(value_of(setting.field)) == toml_value(value_of(initial.field));
    if (!setting.selected || setting.condition.holds || is_default) continue;
    const Condition& condition = setting.condition;
    const Given* const deciding = find_given(all, condition.key);
    std::string reason = fmt::format("has an effect only if {} {}, but that is {}", condition.key, condition.values,
                                     in_words(*find_setting(settings, condition.key)));
    if (deciding) reason += fmt::format(" ({})", deciding->place.empty() ? "--" + condition.key : deciding->place);
    if (!deciding || deciding->layer <= given.layer) {
      refuse(given, fmt::format("is {}, and {}; set that, or drop it", in_words(setting), reason));
    }
    notes.push_back(fmt::format("[config] {}: {} is not used: it {}", given.place, given.key, reason));
    assign(setting.field, setting.allowed, value_of(initial.field));
  }
  return notes;
}

std::string with_places(const std::string& error, const std::vector<Given>& all, const std::string& key) {
  std::string places;
  for (const Given& given : all) {
    if (given.place.empty() || (given.key != key && !names(error, given.key))) continue;
    places += fmt::format("\n  {} is set in {}", given.key, given.place);
  }
  return error + places;
}

}  // namespace trainyard
