// PyTorch checkpoints (.pth, .pth.tar, .pt), read without Python and without running anything: the
// zip form of torch 1.6 and later, the plain form of torch 0.2 to 1.5, and the tar form before it;
// and pickles of dictionaries of numpy arrays (.pkl), as detectron2 has them.
#pragma once

#include <filesystem>
#include <memory>

#include "engine/files/tensor_source.h"

namespace invp {

/// The tensors of the file under their dotted paths, "state_dict.module.conv1.weight",
/// "optimizer.state.0.momentum_buffer": those in dictionaries, lists and modules that were saved
/// whole, and numpy arrays of numbers. Numbers, texts and flags turn into metadata. Whatever else
/// the file holds is passed over: nobody needs it.
///
/// Throws for damaged files; a tensor's own elements are looked at when it is read.
std::unique_ptr<TensorSource> open_pth(const std::filesystem::path& path);
TensorFile read_pth(const std::filesystem::path& path);

/// Does the file begin like one of these forms?
bool looks_like_pth(const std::filesystem::path& path);

}  // namespace invp
