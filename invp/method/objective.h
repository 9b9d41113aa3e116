// The objective of Invariance Propagation, one step of it: positives from the neighbor graph,
// background from the bank, both losses, the gradient, and what the step leaves in bank and graph.
// Names and defaults are the paper's (supplement, section A).
#pragma once

#include <cstdint>
#include <span>

#include "engine/core/tensor.h"
#include "engine/ops/loss/contrast.h"
#include "engine/ops/search/neighbor_graph.h"
#include "invp/method/memory_bank.h"
#include "invp/method/neighbor_graph.h"

namespace invp {

/// The weight of the invariance loss over the epochs t = 1, 2, ..., before the factor lambda.
enum class Ramp : std::uint8_t {
  kBinary,    ///< 0 up to and including epoch T, then 1 (paper)
  kGaussian,  ///< exp(-5 max(1 - t/T, 0)^2) (the authors' code has it as an option)
  kNone,      ///< 1 from the start
};

struct ObjectiveConfig {
  ContrastForm form = ContrastForm::kPaper;  ///< also decides how positives are propagated
  float tau = 0.07F;                         ///< 0.07 with the linear head, 0.2 with the MLP head
  float bank_momentum = 0.5F;
  std::int64_t neighbors = 4;        ///< k
  int steps = 3;                     ///< l
  std::int64_t hard_positives = 50;  ///< P
  std::int64_t background = 4096;    ///< M
  float lambda = 0.6F;
  int warm_epochs = 30;  ///< T
  Ramp ramp = Ramp::kBinary;
  PositiveChoice positives = PositiveChoice::kLeastSimilar;  ///< hard; the other two are ablations
  bool no_invariance = false;                                ///< the instance loss alone

  /// Throws Error naming the option that is out of range.
  void check() const;
  /// lambda times the ramp; 0 with no_invariance. Epochs count from 1.
  double invariance_weight(int epoch) const;
};

/// What one step found. Lists are (b, .) i32, filled up with -1; empty with no_invariance.
struct ObjectiveStep {
  Tensor loss;            ///< scalar, differentiable with respect to the embeddings
  Tensor means;           ///< (3) f32: L_ins, L_inv and the loss, averaged over the batch
  Tensor indices;         ///< (b) i32
  Tensor embeddings;      ///< (b, d), outside the graph of gradients
  Tensor positives;       ///< N(i)
  Tensor hard_positives;  ///< N^h(i)
  Tensor new_neighbors;   ///< (b, k): the graph rows from this step's similarities
};

/// `embeddings` (b, d) f32 of unit length (l2_normalize), `indices` (b) i32 the images they are of
/// (image_rows), `weight` one f32, from invariance_weight. Bank and graph are used as they are and
/// left alone: the sets and the bank are constants of the step. Throws Error for shapes that do not
/// fit, and for NaN; on a GPU NaN makes the loss NaN instead (top_similar.h).
ObjectiveStep objective(const Tensor& embeddings, const Tensor& indices, const MemoryBank& bank,
                        const NeighborGraph& graph, const ObjectiveConfig& config,
                        const Tensor& weight);
/// The same for numbers of the host's.
ObjectiveStep objective(const Tensor& embeddings, std::span<const std::int64_t> indices,
                        const MemoryBank& bank, const NeighborGraph& graph,
                        const ObjectiveConfig& config, double weight);

/// The rows of images in a bank, i32 on the host. Throws Error for indices outside the bank.
Tensor image_rows(std::span<const std::int64_t> indices, const MemoryBank& bank);

/// After the optimiser's step: moves the bank rows and renews the graph rows of the batch, unless
/// `halted`, one i32, is given and not 0.
void update(const ObjectiveStep& step, const ObjectiveConfig& config, MemoryBank& bank,
            NeighborGraph& graph, const Tensor& halted = {});

}  // namespace invp
