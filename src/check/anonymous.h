/// Removes whatever identifies a person or a card from the texts of the facts, because facts are sent to other people.
#pragma once

#include <string>

namespace trainyard {

/// Returns `text` as one printable() line without what identifies a person or a card: the home folder becomes ~,
/// another one /home/*, the UUID of a GPU GPU-*.
std::string anonymous(std::string text);

}  // namespace trainyard
