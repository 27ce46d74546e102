/// Finds images that are sorted into one folder per class.
///
/// A file is an image if it has the extension of a JPEG or PNG file; its actual format is determined from its content
/// when it is decoded. For files with the extension of another image format, or with none, the first bytes are read:
/// JPEG and PNG files are included, and others are left out under the name of their format. Files with any other
/// extension are left out without being opened. Links are followed, but not in cycles; litter (datasets/litter.h) is
/// ignored.
#pragma once

#include <string>
#include <vector>

#include "datasets/dataset.h"
#include "datasets/file_index.h"

namespace trainyard {

/// Maximum number of folders between a class folder and an image.
inline constexpr std::size_t max_folder_depth = 64;

/// Returns the names of the class folders in `folder`, sorted. Throws UsageError for a name that is not UTF-8, for an
/// image next to the class folders, and for a dangling link, because it would be a class; RunError for a folder that
/// cannot be read.
std::vector<std::string> class_folders_in(const std::string& folder);

/// Returns the images of the classes in `folder` in torchvision's order: by class, then by folder, then by name.
/// Throws as class_folders_in() does, and UsageError for class folders that are not in `class_names`, for folders
/// deeper than max_folder_depth, if there are no images at all, and, in the training split, for classes without
/// images.
FileIndex find_images(const std::string& folder, const std::vector<std::string>& class_names, Split split);

}  // namespace trainyard
