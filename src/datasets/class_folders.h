/// Folders of pictures, sorted into a folder per class.
///
/// A file is a picture if its ending is one of JPEG or PNG files; what it really is, is told by its content when it is
/// decoded. The first bytes of files with the ending of another picture format, or with none, are read: JPEG and PNG
/// are taken, others are left out by the name of their format. Files with any other ending are left out without being
/// opened. Links are followed, but not in circles; litter (datasets/litter.h) is ignored.
#pragma once

#include <string>
#include <vector>

#include "datasets/dataset.h"
#include "datasets/file_index.h"

namespace trainyard {

/// So many folders may lie between a class folder and a picture.
inline constexpr std::size_t max_folder_depth = 64;

/// The names of the class folders in `folder`, sorted. Throws UsageError for a name that is not UTF-8, for a picture
/// beside the class folders and for a link to nowhere, as it would be a class; RunError for a folder that cannot be
/// read.
std::vector<std::string> class_folders_in(const std::string& folder);

/// The pictures of the classes in `folder`, in torchvision's order: by class, then by folder, then by name. Throws as
/// class_folders_in(), and UsageError for class folders that are not in `class_names`, for folders deeper than
/// max_folder_depth, where there are no pictures at all and, in the training split, for classes without any.
FileIndex find_pictures(const std::string& folder, const std::vector<std::string>& class_names, Split split);

}  // namespace trainyard
