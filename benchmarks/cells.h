/// The datasets that the loader is measured with. benchmarks/loader_peers.py has the same ones for Python.
#pragma once

#include <string>

#include "loader/worker.h"

namespace trainyard {

/// The bytes of a cell's samples are made or read by the caller, once; the factory copies none of them.
/// - null: 60,000 samples of 1 byte that nothing is written to: what the loader itself costs.
/// - fashion_mnist: its 60,000 training samples of 28×28 bytes.
/// - tiny: 50,000 samples of 32×32×3 bytes in memory.
/// - huge: 64 samples of 32 MiB of floats, views of 4 in memory.
/// Throws UsageError for another name, and where Fashion-MNIST is not installed.
DatasetFactory make_cell(const std::string& name);

}  // namespace trainyard
