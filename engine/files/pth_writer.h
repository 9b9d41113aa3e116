// PyTorch checkpoints written without PyTorch: a state dict that torch.load(file,
// weights_only=True) reads.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <utility>

#include "engine/files/pickle_writer.h"
#include "engine/files/tensor_source.h"

namespace invp {

/// An OrderedDict of tensors, within `envelope`, in the zip form of torch 1.6 and later. Layouts
/// are written as they are: give PyTorch's. Replaces `path` in one step. Throws Error where it
/// cannot be written, and for types that PyTorch has no name for.
void write_pth(const std::filesystem::path& path, std::span<const StoredTensor> tensors,
               const FillElements& fill, const PickleEnvelope& envelope = {});
/// Tensors may live on any device.
void write_pth(const std::filesystem::path& path,
               std::span<const std::pair<std::string, Tensor>> tensors);

}  // namespace invp
