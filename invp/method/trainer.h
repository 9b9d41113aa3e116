// One training step of Invariance Propagation, and the state it moves: network, optimiser, memory
// bank, neighbor graph. The pretraining run and `invp bench step` both stand on it. On a GPU a
// step is queued and captured (engine/core/captured_work.h): the host sees its losses when it asks.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/core/captured_work.h"
#include "engine/core/dtype.h"
#include "engine/files/tensor_file.h"
#include "invp/method/objective.h"
#include "invp/run/step_queue.h"
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

/// What changes from step to step, in the device's memory, where a replayed step reads it.
class StepSettings {
 public:
  explicit StepSettings(Device device)
      : both_(Tensor::zeros({2}, DType::kF32, device)),
        lr_factor_(both_.slice(0, 1)),
        invariance_weight_(both_.slice(1, 2)) {}

  /// One upload.
  void set(double lr_factor, double invariance_weight) const;
  /// One f32 each.
  const Tensor& lr_factor() const { return lr_factor_; }
  const Tensor& invariance_weight() const { return invariance_weight_; }

 private:
  Tensor both_, lr_factor_, invariance_weight_;
};

class Trainer {
 public:
  /// For a training set of `images` images.
  Trainer(const TrainerConfig& config, std::int64_t images);

  /// Queues forward pass, objective, backward pass, SGD with the learning rate times `lr_factor`,
  /// bank and graph update.
  ///   images (b, S, S, 3) f32 normalised, on any device; indices: which training images they are,
  ///   distinct, 0-based; epoch counts from 1.
  /// A step whose loss is not finite changes nothing but the running statistics, nor do those
  /// queued after it until finish() was called. At most StepQueue::kMost steps may be queued.
  void enqueue(const Tensor& images, std::span<const std::int64_t> indices, int epoch,
               double lr_factor);
  /// Waits for the device. "loss", "loss_ins", "loss_inv" of the steps queued since the last call,
  /// in their order, with the sum over the embeddings.
  std::vector<StepLosses> finish();

  /// One step, queued and waited for. Throws NotFinite when the loss is not finite.
  StepLosses step(const Tensor& images, std::span<const std::int64_t> indices, int epoch,
                  double lr_factor);

  /// Why steps are not replayed although there is a GPU; empty if they are, or will be.
  std::string why_not_captured() const;

  ResNet& network() { return network_; }
  Sgd& optimizer() { return optimizer_; }
  MemoryBank& bank() { return bank_; }
  NeighborGraph& graph() { return graph_; }

  /// "model.NAME", "bank" (n, d) f32, "neighbors" (n, k) i32, -1 where unset: all but the momentum.
  TensorFile state() const;
  /// Throws Error naming `origin` when it does not fit; nothing has changed then.
  void load_state(const TensorFile& state, const std::string& origin);

  /// Fills the bank rows of `indices` with the embeddings of images, nothing else moving but the
  /// running statistics.
  void fill_bank(const Tensor& images, std::span<const std::int64_t> indices);
  /// Sets the head's last bias so that its outputs for these images have mean zero.
  void center_head(const Tensor& images);

 private:
  /// What a step of one shape reads, at addresses that stay, and its captured work.
  struct Step {
    Tensor images;
    Tensor indices;
    CapturedWork work;
  };
  Step& step_for(const Shape& images);
  void compute(const Step& step);
  std::uint64_t addresses() const;

  TrainerConfig config_;
  ResNet network_;
  Sgd optimizer_;
  MemoryBank bank_;
  NeighborGraph graph_;

  StepSettings settings_;
  StepQueue queue_;
  std::shared_ptr<MemoryPool> pool_;
  std::map<std::vector<std::int64_t>, Step> steps_;  ///< by the shape of the images
  std::uint64_t captured_addresses_ = 0;
};

}  // namespace invp
