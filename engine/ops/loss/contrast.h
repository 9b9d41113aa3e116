// The two losses of InvP (NeurIPS 2020, equations 2 and 6) and their gradient, in closed form, as
// weights of bank rows. With e_j = exp(s_j / tau), i the row of the image, M its background (the
// rows most similar to it), N its positives, H the chosen ones:
//   paper     L_ins = -log(e_i / sum over M + {i})
//             L_inv = -log(sum over H / sum over (M - N - {i}) + H)
//   released  L_ins = -log(e_i / A + 1e-7), A = sum over M
//             L_inv = -log(sum over H / (A - e_i) + 1e-7), repeats in H counted each time
// L_inv is 0, with no gradient, for an image without positives, and in the released form where
// nothing but i is in M. The loss is the batch mean of L_ins + weight L_inv. Sums are taken in f64
// on one shift, which is safe down to the least tau.
//   background (B, M): top_similar's answer, rows ascending; indices (B) i32; self (B, 1) f32: the
//   similarity to the image's own row; positives (B, W) i32; hard (B, P) i32 and hard_similarities
//   (B, P) f32; -1 fills lists up, W = P = 0 leaves L_inv out; weight, one f32: lambda times the
//   ramp, in the device's memory because a recorded step reads it anew each time. Throws for other
//   shapes and dtypes, and for tau below 0.01.
#pragma once

#include "engine/core/dispatch.h"
#include "engine/core/tensor.h"
#include "engine/ops/search/top_similar.h"

namespace invp {

enum class ContrastForm : std::uint8_t { kPaper, kReleased };

struct ContrastOptions {
  ContrastForm form = ContrastForm::kPaper;
  float tau = 0.07F;
};

struct ContrastInputs {
  TopSimilar background;
  Tensor indices;
  Tensor self;
  Tensor positives;
  Tensor hard;
  Tensor hard_similarities;
  Tensor weight;
};

/// d(loss)/d(query) is the sum of the bank rows times their weights: background_weights (B, M) for
/// the background, self_weights (B, 1) for the image's own row, hard_weights (B, P). `means` (3):
/// L_ins, L_inv, loss. `losses` (B, 2): L_ins and L_inv of each image.
struct Contrast {
  Tensor means;
  Tensor losses;
  Tensor background_weights;
  Tensor self_weights;
  Tensor hard_weights;
};

Contrast contrast(const ContrastInputs& inputs, const ContrastOptions& options);

KERNEL(contrast, const ContrastInputs& inputs, const ContrastOptions& options, const Contrast& out);

}  // namespace invp
