#include "check/anonymous.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include <nlohmann/json.hpp>

#include "util/json_text.h"

namespace trainyard {

std::string printable(std::string text) {
  // Out to JSON and back: what is no UTF-8 comes back as U+FFFD.
  text = json_from(json_text(nlohmann::json(std::move(text)))).get<std::string>();
  bool after_c2 = false;  // U+0080 to U+009F are two bytes, the first 0xc2
  for (char& c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) c = ' ';
    if (after_c2 && byte < 0xa0) c = '\xa0';  // a blank that does not break
    after_c2 = byte == 0xc2;
  }
  return text;
}

std::string anonymous(std::string text) {
  text = printable(std::move(text));
  const auto replace = [&text](std::string_view start, std::string_view ends, std::string_view by) {
    std::size_t place = 0;
    while ((place = text.find(start, place)) != std::string::npos) {
      const std::size_t end = std::min(text.find_first_of(ends, place + start.size()), text.size());
      text.replace(place, end - place, by);
      place += by.size();
    }
  };
  // The home folder is whole only where its name ends: /home/ann is not the start of /home/anna.
  if (const char* home = std::getenv("HOME"); home && std::strlen(home) > 1) {
    const std::string_view folder(home);
    for (std::size_t place = 0; (place = text.find(folder, place)) != std::string::npos;) {
      const std::size_t end = place + folder.size();
      const bool whole = end == text.size() || text[end] == '/' || text[end] == ':';
      if (whole) text.replace(place, folder.size(), "~");
      place += whole ? 1 : folder.size();
    }
  }
  replace("/home/", "/: ", "/home/*");
  replace("GPU-", ", ", "GPU-*");
  replace("MIG-", ", ", "MIG-*");
  return text;
}

}  // namespace trainyard
