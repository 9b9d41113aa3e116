// Weights from whatever people exchange them in.
#pragma once

#include <filesystem>
#include <memory>

#include "engine/files/tensor_source.h"

namespace invp {

/// A safetensors file, a PyTorch checkpoint or a pickle of numpy arrays, told apart by content.
/// Throws an Error that says what the file looks like when it is neither.
std::unique_ptr<TensorSource> open_weights(const std::filesystem::path& path);
TensorFile load_weights(const std::filesystem::path& path);

}  // namespace invp
