/// Recognizes files that operating systems, desktops and tools leave next to data. Folders, tar shards and `predict`
/// all ignore them by this rule.
#pragma once

#include <string_view>

namespace trainyard {

/// Whether a file or folder of this name (the last part of its path) is litter: begins with a dot (.DS_Store, ._*,
/// .ipynb_checkpoints, .git), or is __MACOSX, Thumbs.db, ehthumbs.db, desktop.ini, @eaDir, #recycle, #snapshot,
/// $RECYCLE.BIN, "System Volume Information", lost+found or "Icon\r". Case-insensitive.
bool is_litter(std::string_view name);

/// Whether any component of a relative path is litter; "." and ".." are not.
bool path_has_litter(std::string_view path);

}  // namespace trainyard
