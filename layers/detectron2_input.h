// Weights of the detectron2 world that want other pictures than this engine shows a network:
// channels in the order BGR, no division by a deviation.
#pragma once

#include "engine/files/tensor_source.h"
#include "layers/find_network.h"

namespace invp {

/// Throws Error with the way out where the file has Caffe2's names ("res4_5_branch2c_w").
void refuse_caffe2(const TensorSource& source);

/// Throws Error where pixel_mean and pixel_std beside the network are others than those of
/// ImageNet in RGB, and where its norms are Caffe2's, without statistics. Looks at networks of
/// detectron2's names only; most files say nothing of pixels, and are believed.
void check_input(const TensorSource& source, const FoundNetwork& network);

}  // namespace invp
