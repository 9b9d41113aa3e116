// The losses of one image and their slopes from the sums over its lists: the arithmetic of
// contrast.h, which the kernels of every device share.
#pragma once

#include <cmath>

#include "engine/core/host_device.h"
#include "engine/ops/loss/contrast.h"

namespace invp {

/// With e_j = exp((s_j - shift) / tau).
struct ContrastSums {
  double self = 0;      ///< e_i
  double log_self = 0;  ///< its logarithm
  double all = 0;       ///< over M
  double rest = 0;      ///< over M without i and, in the paper's form, without N
  double hard = 0;      ///< over H
  bool self_in_background = false;
};

/// The losses, and the slopes that turn an e_j into the weight of its row; the factor 1 / (tau B)
/// is still missing.
struct ContrastTerms {
  double instance_loss = 0;
  double invariance_loss = 0;
  double self_weight =
      0;  ///< of the image's own row, added to what it gets as part of M: a weight, not a slope
  double background = 0;  ///< for all of M
  double rest = 0;        ///< added for the rest of M
  double hard = 0;
};

namespace contrast_detail {

inline constexpr double kFloor = 1e-7;  // inside the released form's logarithms

HOST_DEVICE inline void add_paper(const ContrastSums& sums, double weight, ContrastTerms& terms) {
  const double sum = sums.all + (sums.self_in_background ? 0 : sums.self);
  terms.self_weight = (sums.self_in_background ? 0 : sums.self / sum) - 1;
  terms.background = 1 / sum;
  terms.instance_loss = std::log(sum) - sums.log_self;
  if (sums.hard <= 0) return;
  const double base = sums.rest + sums.hard;
  terms.rest = weight / base;
  terms.hard = weight * (1 / base - 1 / sums.hard);
  terms.invariance_loss = std::log(base) - std::log(sums.hard);
}

HOST_DEVICE inline void add_released(const ContrastSums& sums, double weight,
                                     ContrastTerms& terms) {
  const double ratio = sums.self / sums.all;
  const double slope = ratio / (ratio + kFloor);
  terms.self_weight = -slope;
  terms.background = slope / sums.all;
  terms.instance_loss = -std::log(ratio + kFloor);
  const double others = sums.self_in_background ? sums.rest : sums.rest - sums.self;
  if (sums.hard <= 0 || others <= 0) return;
  const double hard_ratio = sums.hard / others;
  const double hard_slope = weight * hard_ratio / (hard_ratio + kFloor);
  terms.rest = hard_slope / others;
  terms.hard = -hard_slope / sums.hard;
  if (!sums.self_in_background) terms.self_weight -= hard_slope * sums.self / others;
  terms.invariance_loss = -std::log(hard_ratio + kFloor);
}

}  // namespace contrast_detail

HOST_DEVICE inline ContrastTerms contrast_terms(const ContrastSums& sums, ContrastForm form,
                                                double weight) {
  ContrastTerms terms;
  if (form == ContrastForm::kPaper) {
    contrast_detail::add_paper(sums, weight, terms);
  } else {
    contrast_detail::add_released(sums, weight, terms);
  }
  return terms;
}

}  // namespace invp
