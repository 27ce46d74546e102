/// Writes and reads the state of a run as a folder that either is complete or does not exist.
///
///     step-00001170/model.safetensors   the model's state_dict, as Python loads it
///                   ema.safetensors     the averaged weights, if the run has them
///                   state.safetensors   everything else needed to resume bit-identically
///                   manifest.json       a description, with the sizes and checksums of the other files
///
/// See docs/checkpoint-format.md. No global state: these functions may run on their own thread.
#pragma once

#include <filesystem>

#include "checkpoint/checkpoint_folder.h"
#include "checkpoint/manifest.h"
#include "checkpoint/safetensors_torch.h"

namespace trainyard {

struct Checkpoint {
  Manifest manifest;
  NamedTensors model;
  NamedTensors ema;  ///< empty if the run has none
  NamedTensors state;
};

/// The size in bytes of a file of these tensors, or of a whole checkpoint: slightly more than will be written.
std::uint64_t bytes_of(const NamedTensors& tensors);
std::uint64_t bytes_of(const Checkpoint& contents);

/// Writes `checkpoints`/step-<manifest.step>/ and returns its path; fills in manifest.files and .trainyard_version. If
/// `checkpoints` does not exist, creates it, but not its parents; replaces a checkpoint of the same step. The tensors
/// must not change meanwhile. Every file, the folder and its parent are synced to disk before the return. Throws
/// RunError, with nothing changed, if the disk is full or anything else fails. One writer at a time.
std::filesystem::path write_checkpoint(const std::filesystem::path& checkpoints, const Checkpoint& contents);

/// Reads a step folder and verifies sizes and checksums against the manifest; tensors are on the CPU. Throws RunError
/// that names the file and the mismatch, UsageError for another format version.
Checkpoint read_checkpoint(const std::filesystem::path& folder);

}  // namespace trainyard
