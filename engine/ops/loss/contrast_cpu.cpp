#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "engine/core/parallel.h"
#include "engine/core/rows.h"
#include "engine/ops/loss/contrast.h"
#include "engine/ops/loss/contrast_terms.h"

namespace invp::cpu {

namespace {

/// One image: exponentials after a shift by the largest similarity, their sums, and the weights
/// before the factor 1 / (tau B).
class Image {
 public:
  Image(const ContrastInputs& inputs, const ContrastOptions& options, std::int64_t i)
      : rows_(row_of<std::int32_t>(inputs.background.rows, i)) {
    const auto similarities = row_of<float>(inputs.background.similarities, i);
    const auto hard = row_of<float>(inputs.hard_similarities, i);
    const auto hard_rows = row_of<std::int32_t>(inputs.hard, i);
    const float self = inputs.self.data<float>()[i];
    const float shift = std::max(self, *std::ranges::max_element(similarities));
    const auto exponential = [&](float similarity) {
      return std::exp((static_cast<double>(similarity) - shift) / options.tau);
    };
    sums_.self = exponential(self);
    sums_.log_self = (static_cast<double>(self) - shift) / options.tau;
    background_.resize(similarities.size());
    std::ranges::transform(similarities, background_.begin(), exponential);
    for (const double e : background_) sums_.all += e;
    for (std::size_t p = 0; p < hard.size(); ++p) {
      hard_.push_back(hard_rows[p] >= 0 ? exponential(hard[p]) : 0);
      sums_.hard += hard_.back();
    }
    const std::int64_t self_place = place_of(inputs.indices.data<std::int32_t>()[i]);
    sums_.self_in_background = self_place >= 0;
    if (self_place >= 0) left_out_.push_back(self_place);
    if (options.form == ContrastForm::kPaper) {
      for (const std::int32_t positive : row_of<std::int32_t>(inputs.positives, i)) {
        if (const std::int64_t place = place_of(positive); place >= 0) left_out_.push_back(place);
      }
    }
    std::ranges::sort(left_out_);
    // The sum skips e_i instead of subtracting it: a dominant e_i would cancel the rest.
    for_each_kept([&](std::size_t j) { sums_.rest += background_[j]; });
    terms_ = contrast_terms(sums_, options.form, *inputs.weight.data<float>());
  }

  const ContrastTerms& terms() const { return terms_; }

  /// weights[j] = scale * (weight of background row j).
  void write_background(std::span<float> weights, double scale) const {
    for (std::size_t j = 0; j < weights.size(); ++j) {
      weights[j] = static_cast<float>(scale * terms_.background * background_[j]);
    }
    if (terms_.rest == 0) return;
    for_each_kept([&](std::size_t j) {
      weights[j] = static_cast<float>(scale * (terms_.background + terms_.rest) * background_[j]);
    });
  }

  void write_hard(std::span<float> weights, double scale) const {
    for (std::size_t p = 0; p < weights.size(); ++p) {
      weights[p] = static_cast<float>(scale * terms_.hard * hard_[p]);
    }
  }

 private:
  /// The place of a row in the background, or -1.
  std::int64_t place_of(std::int32_t row) const {
    const auto found = std::ranges::lower_bound(rows_, row);
    return found != rows_.end() && *found == row ? found - rows_.begin() : -1;
  }

  template <class Body>
  void for_each_kept(const Body& body) const {
    std::size_t j = 0;
    for (const std::int64_t place : left_out_) {
      for (; j < static_cast<std::size_t>(place); ++j) body(j);
      j = static_cast<std::size_t>(place) + 1;
    }
    for (; j < background_.size(); ++j) body(j);
  }

  std::span<const std::int32_t> rows_;
  std::vector<double> background_;
  std::vector<double> hard_;
  std::vector<std::int64_t> left_out_;
  ContrastSums sums_;
  ContrastTerms terms_;
};

}  // namespace

void contrast(const ContrastInputs& inputs, const ContrastOptions& options, const Contrast& out) {
  const std::int64_t batch = inputs.indices.dim(0);
  const double scale = 1 / (static_cast<double>(options.tau) * static_cast<double>(batch));
  parallel_for(0, batch, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const Image image(inputs, options, i);
      const std::span<float> loss = row_of<float>(out.losses, i);
      loss[0] = static_cast<float>(image.terms().instance_loss);
      loss[1] = static_cast<float>(image.terms().invariance_loss);
      image.write_background(row_of<float>(out.background_weights, i), scale);
      image.write_hard(row_of<float>(out.hard_weights, i), scale);
      out.self_weights.data<float>()[i] = static_cast<float>(scale * image.terms().self_weight);
    }
  });

  double instance = 0;
  double invariance = 0;
  for (std::int64_t i = 0; i < batch; ++i) {
    const std::span<const float> loss = row_of<float>(out.losses, i);
    instance += loss[0] / static_cast<double>(batch);
    invariance += loss[1] / static_cast<double>(batch);
  }
  const std::span<float> means = out.means.span<float>();
  means[0] = static_cast<float>(instance);
  means[1] = static_cast<float>(invariance);
  means[2] = static_cast<float>(instance + *inputs.weight.data<float>() * invariance);
}

}  // namespace invp::cpu
