// One training step of Invariance Propagation, and the state it moves: network, optimiser, memory
// bank, neighbour graph. The pretraining run and `invp bench step` both stand on it.
#pragma once

#include <cstdint>
#include <span>

#include "engine/core/dtype.h"
#include "invp/objective.h"
#include "layers/resnet.h"
#include "optim/sgd.h"

namespace invp {

struct TrainerConfig {
  NetworkConfig network;
  ObjectiveConfig objective;
  double learning_rate = 0.03;
  double momentum = 0.9;
  double weight_decay = 1e-4;
  DType compute_type = DType::kF32;
  std::uint64_t seed = 0;
  Device device;  ///< everything the step moves lives and is computed there
};

/// Thrown when a loss or an embedding is NaN or infinite.
class NotFinite : public Error {
 public:
  using Error::Error;
};

/// Batch means.
struct StepLosses {
  double loss = 0;
  double loss_ins = 0;
  double loss_inv = 0;
};

class Trainer {
 public:
  /// For a training set of `images` images.
  Trainer(const TrainerConfig& config, std::int64_t images);

  /// Forward pass, objective, backward pass, SGD with the learning rate times `lr_factor`, bank and
  /// graph update.
  ///   images (b, S, S, 3) f32 normalised, on any device; indices: which training images they are,
  ///   distinct, 0-based; epoch counts from 1.
  /// Throws NotFinite when the loss is not finite, before anything but the running statistics has
  /// changed. Waits for the device once.
  StepLosses step(const Tensor& images, std::span<const std::int64_t> indices, int epoch,
                  double lr_factor);

  ResNet& network() { return network_; }
  Sgd& optimizer() { return optimizer_; }
  MemoryBank& bank() { return bank_; }
  NeighbourGraph& graph() { return graph_; }

  /// Fills the bank rows of `indices` with the embeddings of images, nothing else moving but the
  /// running statistics.
  void fill_bank(const Tensor& images, std::span<const std::int64_t> indices);
  /// Sets the head's last bias so that its outputs for these images have mean zero.
  void center_head(const Tensor& images);

 private:
  ObjectiveStep search(const Tensor& embeddings, std::span<const std::int64_t> indices,
                       int epoch) const;

  TrainerConfig config_;
  ResNet network_;
  Sgd optimizer_;
  MemoryBank bank_;
  NeighbourGraph graph_;
};

}  // namespace invp
