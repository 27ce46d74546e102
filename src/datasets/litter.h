/// Files that operating systems, desktops and tools leave beside data. Folders, tar shards and `predict` ignore them by
/// this one rule.
#pragma once

#include <string_view>

namespace trainyard {

/// Whether a file or folder of this name (the last part of its path) is litter: it begins with a dot (.DS_Store, ._*,
/// .ipynb_checkpoints, .git), or is __MACOSX, Thumbs.db, ehthumbs.db, desktop.ini, @eaDir, #recycle, #snapshot,
/// $RECYCLE.BIN, "System Volume Information", lost+found or "Icon\r". Case is ignored.
bool is_litter(std::string_view name);

/// Whether any part of a relative path is litter; "." and ".." are not.
bool path_has_litter(std::string_view path);

}  // namespace trainyard
