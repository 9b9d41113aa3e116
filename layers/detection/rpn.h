// The region proposal network (Ren et al. 2015): of every anchor, whether an object is there and
// how to move the anchor onto it.
#pragma once

#include <vector>

#include "layers/detection/biased_conv.h"
#include "layers/detection/detector_config.h"
#include "layers/detection/detector_input.h"

namespace invp {

struct RpnOutput {
  MapGroups logits;  ///< a channel per anchor of the cell
  MapGroups deltas;  ///< four channels per anchor
};

/// Boxes of one group.
struct Proposals {
  Tensor boxes;   ///< (N, k, 4) f32 by falling logit, clipped to the picture; 0 beyond the count
  Tensor counts;  ///< (N) i32
  Candidates candidates;  ///< before suppression
  Tensor rows;            ///< (N, k) i32: which of them were kept, then -1
};

/// Scalars f32, sums over groups.
struct RpnLosses {
  Tensor objectness;
  Tensor boxes;
};

class Rpn : public Module {
 public:
  Rpn(std::int64_t channels, const RpnConfig& config, Initializer& init);

  RpnOutput forward(const MapGroups& features) const;

  /// Of each group: the sum over its sampled anchors of the binary cross entropy, and the sum over
  /// the positive ones of |delta - target| over four coordinates, both divided by 256 N. Gradients
  /// go into `output`.
  RpnLosses losses(const RpnOutput& output, const std::vector<GroupPictures>& pictures,
                   const Sampler& sampler, const SampleAddress& address) const;

  /// The best boxes of every group. No gradient passes through them.
  std::vector<Proposals> proposals(const RpnOutput& output,
                                   const std::vector<GroupPictures>& pictures) const;

 private:
  Tensor anchors_of(const MapSize& size, Device device) const;

  RpnConfig config_;
  BiasedConv conv_, objectness_, deltas_;
};

}  // namespace invp
