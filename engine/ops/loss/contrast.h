// The two losses of InvP (NeurIPS 2020) and their gradient in closed form, as weights of bank rows.
//
// For one image: i is its row of the bank, v its embedding, r_j is row j, s_j = v . r_j and
// e_j = exp(s_j / tau). M is the background (the rows most similar to v), N the positives, H the
// chosen ones of them, B = (M - N - {i}) + H. sum_X is the sum of e_j over X.
//   paper     L_ins = -log(e_i / sum_{M+i})                             (equation 2)
//             L_inv = -log(sum_H / sum_B)                               (equation 6)
//   released  L_ins = -log(e_i / sum_M + 1e-7)
//             L_inv = -log(sum_H / (sum_M - e_i) + 1e-7), repeats in H counted each time
// L_inv is 0, with no gradient, for an image without positives, and in the released form where M
// holds nothing but i. The loss is the batch mean of L_ins + weight L_inv.
//
// The gradient follows from these equations; the sets and the bank are constants:
//   paper     dL_ins/dv = 1/tau (sum over M+i of p_j r_j - r_i)
//             dL_inv/dv = 1/tau (sum over B of b_j r_j - sum over H of a_j r_j)
//             with p_j = e_j / sum_{M+i}, b_j = e_j / sum_B, a_j = e_j / sum_H
//   released  the same with p_j = e_j / sum_M over M, b_j = e_j / (sum_M - e_i) over M - {i}, and
//             both times x / (x + 1e-7), x being the ratio inside the logarithm
// Sums are taken in f64, with one shift of all s_j of an image, so that no exponential overflows.
#pragma once

#include "engine/core/dispatch.h"
#include "engine/core/tensor.h"
#include "engine/ops/search/top_similar.h"

namespace invp {

enum class ContrastForm : std::uint8_t { kPaper, kReleased };

/// Throws Error for tau below 0.01.
struct ContrastOptions {
  ContrastForm form = ContrastForm::kPaper;
  float tau = 0.07F;
};

/// Of b images, with m background rows, w positives and p chosen ones each; -1 fills up shorter
/// lists, and w = p = 0 leaves L_inv out.
struct ContrastInputs {
  TopSimilar background;     ///< (b, m), rows ascending
  Tensor indices;            ///< (b) i32: i
  Tensor self;               ///< (b, 1) f32: s_i
  Tensor positives;          ///< (b, w) i32: N
  Tensor hard;               ///< (b, p) i32: H
  Tensor hard_similarities;  ///< (b, p) f32: s_j over H
  Tensor weight;  ///< one f32, lambda times the ramp: on the device, as a replayed step reads it
};

/// d(loss)/dv is the sum of the bank rows times their weights. All f32.
struct Contrast {
  Tensor means;               ///< (3): L_ins, L_inv and the loss, averaged over the batch
  Tensor losses;              ///< (b, 2): L_ins and L_inv of each image
  Tensor background_weights;  ///< (b, m)
  Tensor self_weights;        ///< (b, 1), of row i beside what it has as part of M
  Tensor hard_weights;        ///< (b, p)
};

/// Throws Error for other shapes and dtypes.
Contrast contrast(const ContrastInputs& inputs, const ContrastOptions& options);

KERNEL(contrast, const ContrastInputs& inputs, const ContrastOptions& options, const Contrast& out);

}  // namespace invp
