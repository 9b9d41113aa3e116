// One step of the objective of Invariance Propagation. Names and defaults are the paper's
// (supplement, section A). For the images i of a batch, in this order:
//   s_ij = v_i . bank row j, N_M(i): the M most similar of the bank       MemoryBank::search
//   N(i): what 1 to l edges of the graph reach (section 3.1)              discover_positives
//   N^h(i): the P least similar of N(i) (section 3.2)                     discover_positives
//   L_ins (equation 2), L_inv (equation 6), the gradient                  contrast.h
//   L = mean over i of L_ins + lambda ramp(t) L_inv                       invariance_weight
//   after SGD: bank row i <- normalise(m row + (1 - m) v_i) (supplement, section B.1), graph row i
//   <- the k most similar images (section 3.1)                            update
#pragma once

#include <cstdint>
#include <span>

#include "engine/core/tensor.h"
#include "engine/ops/loss/contrast.h"
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

/// What one step found. Lists of images are (b, .) i32, filled up with -1; those of positives are
/// empty with no_invariance.
struct ObjectiveStep {
  Tensor loss;            ///< scalar, differentiable with respect to the embeddings
  Tensor means;           ///< (3) f32: L_ins, L_inv and the loss, averaged over the batch
  Tensor indices;         ///< (b) i32
  Tensor embeddings;      ///< (b, d): v, without a gradient
  Tensor positives;       ///< N(i)
  Tensor hard_positives;  ///< N^h(i)
  Tensor new_neighbors;   ///< (b, k): the graph rows from this step's similarities
};

/// Lists of images, (b, .) i32 filled up with -1.
struct Positives {
  Tensor all;   ///< N(i)
  Tensor hard;  ///< N^h(i)
};

/// The positives of `images` (b) i32 by the graph, and the chosen ones by their similarity to
/// `queries` (b, d) f32.
Positives discover_positives(const Tensor& queries, const Tensor& images, const MemoryBank& bank,
                             const NeighborGraph& graph, const ObjectiveConfig& config);

/// `embeddings` (b, d) f32 of unit length (l2_normalize), `indices` (b) i32 the images they are of
/// (image_rows), `weight` one f32, from invariance_weight. All on the bank's device. Reads bank and
/// graph and changes neither. Throws Error for shapes that do not fit, and for NaN; on a GPU NaN
/// makes the loss NaN instead (top_similar.h).
ObjectiveStep objective(const Tensor& embeddings, const Tensor& indices, const MemoryBank& bank,
                        const NeighborGraph& graph, const ObjectiveConfig& config,
                        const Tensor& weight);
/// The same with indices and weight on the host.
ObjectiveStep objective(const Tensor& embeddings, std::span<const std::int64_t> indices,
                        const MemoryBank& bank, const NeighborGraph& graph,
                        const ObjectiveConfig& config, double weight);

/// The numbers of images as i32 (b) on the host. Throws Error for indices outside the bank.
Tensor image_rows(std::span<const std::int64_t> indices, const MemoryBank& bank);

/// After the optimiser's step: updates the bank rows and the graph rows of the batch. Does nothing
/// if `halted`, one i32, is given and not 0.
void update(const ObjectiveStep& step, const ObjectiveConfig& config, MemoryBank& bank,
            NeighborGraph& graph, const Tensor& halted = {});

}  // namespace invp
