// Convolutions with a bias, and the linear layer of groups: what a detector adds to its ResNet.
#pragma once

#include "engine/ops/groups/conv2d_groups.h"
#include "layers/init.h"
#include "layers/module.h"

namespace invp {

/// Parameters weight (out, kernel, kernel, in), from N(0, deviation^2), and bias (out), 0. The map
/// keeps its size.
class BiasedConv : public Module {
 public:
  BiasedConv(std::int64_t in, std::int64_t out, int kernel, double deviation, Initializer& init);
  MapGroups forward(const MapGroups& x) const;

 private:
  Tensor weight_, bias_;
  Conv2dParams params_;
};

/// y = x w^T + b of every row. Parameters weight (out, in), from N(0, deviation^2), and bias (out),
/// 0, whose gradients are added over groups as those of all other layers.
class GroupLinear : public Module {
 public:
  GroupLinear(std::int64_t in, std::int64_t out, double deviation, Initializer& init);
  MapGroups forward(const MapGroups& x) const;

 private:
  Tensor weight_, bias_;
};

}  // namespace invp
