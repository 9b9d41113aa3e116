// PyTorch checkpoints (.pth, .pth.tar, .pt): the zip form of torch 1.6 and later and the older
// plain form, read without Python and without running anything.
#pragma once

#include <filesystem>

#include "engine/files/tensor_file.h"

namespace invp {

/// Every tensor of the file, on the host, under its dotted path. A "state_dict" or "model"
/// dictionary at the top is unwrapped: its tensors keep the names they have in it. Other containers
/// (optimiser state, lists) keep their path, "optimizer.state.0.momentum_buffer". Numbers, texts
/// and flags turn into metadata. Strided tensors are copied into row-major order; prefixes and
/// layouts stay as they are; f16, f64, i16, i8 and bool are converted (elements.h).
///
/// Throws for damaged files, and for anything but tensors, numpy scalars and plain containers, by
/// the name of what it found.
TensorFile read_pth(const std::filesystem::path& path);

/// Does the file begin like one of the two forms?
bool looks_like_pth(const std::filesystem::path& path);

}  // namespace invp
