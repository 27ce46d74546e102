/// Facts are sent to other people: what names a person or a card is taken out of their texts.
#pragma once

#include <string>

namespace trainyard {

/// `text` as one line, as printable() has it, without what names a person or a card: the home folder becomes ~, another
/// one /home/*, the identity of a GPU GPU-*.
std::string anonymous(std::string text);

}  // namespace trainyard
