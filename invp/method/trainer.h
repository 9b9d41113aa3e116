// One training step of Invariance Propagation, and the state it moves: network, optimiser, memory
// bank, neighbor graph. The pretraining run and `invp bench step` both stand on it. On a GPU a
// step is queued and captured (engine/core/captured_work.h): the host sees its losses when it asks.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/load/loader.h"
#include "engine/comm/communicator.h"
#include "engine/core/captured_work.h"
#include "engine/core/dtype.h"
#include "engine/files/tensor_file.h"
#include "invp/method/objective.h"
#include "invp/run/spread_rows.h"
#include "invp/run/step_queue.h"
#include "layers/in_groups.h"
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
  /// A batch is cut into so many groups, as on so many GPUs (layers/in_groups.h).
  int groups = 1;
  NormSharing norms = NormSharing::kLocal;  ///< what batch norms see of them
  /// What gradients travel in between ranks; kBF16 rounds the sums of groups too, on one rank as on
  /// several, and is for kLocal (layers/in_groups.h).
  DType wire = DType::kF32;
  /// The bank's rows are spread over the ranks of a machine, not on every rank. Whether they are,
  /// but not over how many, decides the last bits of the gradient (bank_shards.h).
  bool spread_bank = false;
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
  /// For a training set of `images` images. Each of the ranks computes its share of the batch
  /// (share_of_rank): all calls are collective, and batches hold the rows of that share. What is
  /// trained is the same on all ranks, but for the running statistics: those of rank 0 count.
  Trainer(const TrainerConfig& config, std::int64_t images,
          std::shared_ptr<Communicator> ranks = alone());

  /// Queues forward pass, objective, backward pass, SGD with the learning rate times `lr_factor`,
  /// bank and graph update.
  ///   batch: its images f32 normalized, on any device; its indices, distinct, say which training
  ///   images they are; epoch counts from 1.
  /// A step whose loss is not finite changes nothing but the running statistics, nor do those
  /// queued after it until finish() was called. At most StepQueue::kMost steps may be queued.
  void enqueue(const Batch& batch, int epoch, double lr_factor);
  /// Waits for the device. "loss", "loss_ins", "loss_inv" of the steps queued since the last call,
  /// in their order, with the sum over the embeddings.
  std::vector<StepLosses> finish();

  /// One step, queued and waited for. Throws NotFinite when the loss is not finite.
  StepLosses step(const Batch& batch, int epoch, double lr_factor);

  /// Why steps are not replayed although there is a GPU; empty if they are, or will be.
  std::string why_not_captured() const;

  Communicator& ranks() { return *ranks_; }
  ResNet& network() { return network_; }
  Sgd& optimizer() { return optimizer_; }
  MemoryBank& bank() { return bank_; }
  NeighborGraph& graph() { return graph_; }

  /// "model.NAME", "bank" (n, d) f32, "neighbors" (n, k) i32, -1 where unset: all but the momentum.
  /// Of a bank that is spread, the rows that are here.
  TensorFile state() const;
  /// The bank, where it is spread; else null.
  const SpreadRows* spread_rows() const { return spread_ ? &*spread_ : nullptr; }
  /// Throws Error naming `origin` when it does not fit; nothing has changed then.
  void load_state(const TensorFile& state, const std::string& origin);

  /// Fills the bank rows of a batch with its embeddings, nothing else moving but the running
  /// statistics.
  void fill_bank(const Batch& batch);
  /// Sets the head's last bias so that its outputs for these images have mean zero.
  void center_head(const Batch& batch);

 private:
  /// What a step of one shape reads, at addresses that stay, and its captured work.
  struct Step {
    Tensor images;
    Tensor indices;
    std::vector<RowRange> groups;      ///< rows of the images
    std::vector<Tensor> shares;        ///< of each group in the batch, one f32
    std::vector<std::int64_t> counts;  ///< images of each rank
    CapturedWork work;
  };
  /// What the rows of bank and graph become after a step.
  struct Updates {
    Tensor embeddings;
    Tensor neighbors;
  };
  Step& step_for(const Batch& batch);
  void run(Step& step, const Batch& batch);
  bool all_captured(bool mine);
  void compute(const Step& step);
  void compute_in_groups(const Step& step);
  Tensor learn_from_group(const Step& step, std::size_t group, const Tensor& features,
                          const Updates& updates);
  GroupedImages grouped(const Tensor& images, const std::vector<RowRange>& groups,
                        const std::vector<std::int64_t>& counts) const;
  std::optional<ObjectiveStep> find(const Tensor& embeddings, const Tensor& indices);
  void answer_others();
  Tensor outputs_of(const Batch& batch, const std::vector<std::int64_t>& counts);
  bool in_one_group() const { return config_.groups == 1 && !shared_; }
  std::uint64_t addresses() const;

  TrainerConfig config_;
  std::shared_ptr<Communicator> ranks_;
  BatchPart part_;                     ///< what is computed here
  std::optional<SharedNorms> shared_;  ///< unless every norm sees a group that is all here
  ResNet network_;
  std::vector<Tensor> learning_;  ///< what gets gradients
  Sgd optimizer_;
  MemoryBank bank_;
  NeighborGraph graph_;
  std::optional<SpreadRows> spread_;

  StepSettings settings_;
  StepQueue queue_;
  std::shared_ptr<MemoryPool> pool_;
  std::map<std::vector<std::int64_t>, Step> steps_;  ///< by the shape of the images
  std::uint64_t captured_addresses_ = 0;
};

}  // namespace invp
