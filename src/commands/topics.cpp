#include "commands/topics.h"

#include "help_pages.h"

namespace trainyard {

std::vector<std::string> help_topics() {
  std::vector<std::string> topics;
  for (const HelpPage& page : help_pages) topics.emplace_back(page.topic);
  return topics;
}

std::string_view help_page(const std::string& topic) {
  for (const HelpPage& page : help_pages) {
    if (page.topic == topic) return page.text;
  }
  return {};
}

}  // namespace trainyard
