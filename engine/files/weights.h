// Weights from whatever people exchange them in.
#pragma once

#include <filesystem>

#include "engine/files/tensor_file.h"

namespace invp {

/// A safetensors file or a PyTorch checkpoint, told apart by content. Throws an Error that says
/// what the file looks like when it is neither.
TensorFile load_weights(const std::filesystem::path& path);

/// Removes "module.", "encoder_q." and "backbone." from the front of every name, as often as they
/// stand there: what DataParallel, MoCo and detection toolboxes put before a network's own names.
/// Throws if two tensors end up with one name.
void strip_prefixes(TensorFile& file);

}  // namespace invp
