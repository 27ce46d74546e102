/// Facts are sent to other people: what names a person or a card is taken out of their texts.
#pragma once

#include <string>

namespace trainyard {

/// `text` as one printable line: control characters become blanks.
std::string printable(std::string text);

/// `text` as one printable line without what names a person or a card: the home folder becomes ~, another one
/// /home/*, the identity of a GPU GPU-*.
std::string anonymous(std::string text);

}  // namespace trainyard
