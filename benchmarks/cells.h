/// The datasets on which loaders are measured. benchmarks/peers/cells.py has the same ones for Python.
#pragma once

#include <string>

#include "loader/split.h"

namespace trainyard {

/// The samples of one cell. Those in memory are created or read by this call, once; the factory copies none of them.
/// - null: 60,000 samples of 1 byte to which nothing is written: the cost of the loader itself.
/// - fashion_mnist: its 60,000 training samples of 28×28 bytes.
/// - tiny: 50,000 samples of 32×32×3 bytes in memory.
/// - huge: 64 samples of 32 MiB of floats, views of 4 in memory.
/// From the files that make_files() has written to `files`:
/// - jpeg: 1,024 JPEGs of 500×375, a random crop of each at 224×224, half of them flipped.
/// - large, large_scaled: the same for 128 JPEGs of 2048×1536, decoded exactly or scaled.
/// - packed: 1,024 raw images of 256×256 in a packed file.
/// Throws UsageError for any other name, and if Fashion-MNIST is not installed.
DatasetFactory make_cell(const std::string& name, const std::string& files);

/// Writes folders of JPEGs (quality 90, about 65 kB for 500×375, like photographs) and a packed file.
void make_files(const std::string& folder);

}  // namespace trainyard
