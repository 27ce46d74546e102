#include "distributed/require_same.h"

#include "util/error.h"
#include "util/printable.h"
#include "util/text_lines.h"

namespace trainyard {
namespace {

using Facts = std::vector<std::pair<std::string, std::string>>;

std::string to_text(const Facts& facts) {
  std::string text;
  for (const auto& [name, value] : facts) text += name + " = " + printable(value) + "\n";
  return text;
}

std::string or_nothing(const std::string& line) { return line.empty() ? "nothing" : line; }

}  // namespace

void require_same(ProcessGroup& group, const Facts& facts) {
  const std::vector<std::string> texts = group.all_gather(to_text(facts));
  const std::vector<std::string> first = text_lines(texts.front());
  for (std::size_t rank = 1; rank < texts.size(); ++rank) {
    if (texts[rank] == texts.front()) continue;
    const std::vector<std::string> other = text_lines(texts[rank]);
    std::size_t line = 0;
    while (line < std::min(first.size(), other.size()) && first[line] == other[line]) ++line;
    group.shut_down();  // none is to end while another one still compares
    throw UsageError("distributed",
                     "rank {} was started with '{}', rank 0 with '{}'; start all ranks with the same program, "
                     "configuration and data",
                     rank, or_nothing(line < other.size() ? other[line] : ""),
                     or_nothing(line < first.size() ? first[line] : ""));
  }
}

}  // namespace trainyard
