/// The datasets that the loader is measured with. benchmarks/peers/cells.py has the same ones for Python.
#pragma once

#include <string>

#include "loader/split.h"

namespace trainyard {

/// The samples of one cell. Those in memory are made or read by the caller, once; the factory copies none of them.
/// - null: 60,000 samples of 1 byte that nothing is written to: what the loader itself costs.
/// - fashion_mnist: its 60,000 training samples of 28×28 bytes.
/// - tiny: 50,000 samples of 32×32×3 bytes in memory.
/// - huge: 64 samples of 32 MiB of floats, views of 4 in memory.
/// And of the files that make_files() has written to `files`:
/// - jpeg: 1,024 JPEGs of 500×375, a random part of each at 224×224, half of them flipped.
/// - large, large_scaled: the same of 128 JPEGs of 2048×1536, decoded exactly or scaled.
/// - packed: 1,024 raw pictures of 256×256 in a packed file.
/// Throws UsageError for another name, and where Fashion-MNIST is not installed.
DatasetFactory make_cell(const std::string& name, const std::string& files);

/// Writes folders of JPEGs (quality 90, about 65 b for 500×375, as photographs have) and a packed file.
void make_files(const std::string& folder);

}  // namespace trainyard
