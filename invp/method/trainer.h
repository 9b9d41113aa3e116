// One training step of Invariance Propagation, and the state it moves: network, optimiser, memory
// bank, neighbor graph. The pretraining run and `invp bench step` both stand on it. On a GPU a
// step is queued and recorded (engine/core/recorded_work.h): the host sees its losses when it asks.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/core/dtype.h"
#include "engine/core/recorded_work.h"
#include "invp/method/objective.h"
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
  double embeddings = 0;  ///< the sum over the batch's embeddings, which shows what a loss may hide

  /// What is NaN or infinite, in words; empty if nothing is.
  std::string trouble() const;
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
  /// queued behind it until finish() was called. At most kMostQueued steps may be queued; the host
  /// is held back so that it is never more than kAhead steps before the device.
  void enqueue(const Tensor& images, std::span<const std::int64_t> indices, int epoch,
               double lr_factor);
  static constexpr int kMostQueued = 64;
  static constexpr std::size_t kAhead = 2;

  /// Waits for the device. The losses of the steps queued since the last call, in their order.
  std::vector<StepLosses> finish();

  /// One step, queued and waited for. Throws NotFinite when the loss is not finite.
  StepLosses step(const Tensor& images, std::span<const std::int64_t> indices, int epoch,
                  double lr_factor);

  /// Why steps are not replayed although there is a GPU; empty if they are, or will be.
  std::string why_not_recorded() const;

  ResNet& network() { return network_; }
  Sgd& optimizer() { return optimizer_; }
  MemoryBank& bank() { return bank_; }
  NeighborGraph& graph() { return graph_; }

  /// Fills the bank rows of `indices` with the embeddings of images, nothing else moving but the
  /// running statistics.
  void fill_bank(const Tensor& images, std::span<const std::int64_t> indices);
  /// Sets the head's last bias so that its outputs for these images have mean zero.
  void center_head(const Tensor& images);

 private:
  /// What a step of one shape reads, at addresses that stay, and its recording.
  struct Step {
    Tensor images;
    Tensor indices;
    RecordedWork work;
  };
  Step& step_for(const Shape& images);
  void compute(const Step& step);
  std::uint64_t addresses() const;

  TrainerConfig config_;
  ResNet network_;
  Sgd optimizer_;
  MemoryBank bank_;
  NeighborGraph graph_;

  Tensor settings_;  ///< (2) f32: factor of the learning rate, weight of the invariance loss
  Tensor losses_;    ///< (kMostQueued, 4) f32 and
  Tensor state_;     ///< (2) i32: see engine/ops/step/log_step.h
  int queued_ = 0;
  std::deque<DeviceMark> ends_;  ///< of the steps that may be under way
  std::shared_ptr<MemoryPool> pool_;
  std::map<std::vector<std::int64_t>, Step> steps_;  ///< by the shape of the images
  std::uint64_t recorded_addresses_ = 0;
  std::vector<Tensor> batch_counters_;  ///< of the batch norms, which the host counts up
};

}  // namespace invp
