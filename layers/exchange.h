// Networks in and out of the form PyTorch uses: torchvision's names, convolution weights OIHW.
#pragma once

#include <optional>
#include <string>

#include "engine/files/tensor_file.h"
#include "layers/resnet.h"

namespace invp {

/// A module's state in PyTorch's layouts. Every norm also gets num_batches_tracked, an i64:
/// `batches`.
TensorFile pytorch_state(const Module& module, std::int64_t batches);

/// Sets a module's whole state from such a file, and returns the largest count of its norms;
/// nothing if the file has none. Throws Error naming `origin` and the tensors that do not fit.
std::optional<std::int64_t> load_pytorch_state(Module& module, const TensorFile& file,
                                               const std::string& origin);

/// Sets the tensors that the file has and leaves the others, as of a detector that begins with a
/// backbone's weights. Faults as load_pytorch_state.
void load_pytorch_part(Module& module, const TensorFile& file, const std::string& origin);

/// The network's state as load_state_dict(strict=True) takes it. Every norm also gets
/// num_batches_tracked, an i64: the network's batches_tracked().
TensorFile pytorch_state(const ResNet& network);

/// Sets the whole state from such a file. The file may lack num_batches_tracked; the network's
/// count then stays. Throws Error naming `origin` and the tensors that do not fit.
void load_pytorch_state(ResNet& network, const TensorFile& file, const std::string& origin);

/// Sets everything but the head ("fc."), whatever the file holds there: features of any classifier
/// of this architecture.
void load_pytorch_backbone(ResNet& network, const TensorFile& file, const std::string& origin);

}  // namespace invp
