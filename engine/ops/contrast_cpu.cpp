#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "engine/core/parallel.h"
#include "engine/ops/contrast.h"

namespace invp::cpu {

namespace {

constexpr double kFloor = 1e-7;  // inside the released form's logarithms

template <class T>
std::span<T> row_of(const Tensor& matrix, std::int64_t i) {
  const std::int64_t width = matrix.dim(1);
  return {matrix.data<T>() + i * width, static_cast<std::size_t>(width)};
}

/// One image: exponentials on the shift of the largest similarity, the losses, and the weights
/// before the factor 1 / (tau B).
class Image {
 public:
  Image(const ContrastInputs& inputs, const ContrastOptions& options, std::int64_t i)
      : options_(options),
        rows_(row_of<std::int32_t>(inputs.background.rows, i)),
        positives_(row_of<std::int32_t>(inputs.positives, i)),
        index_(inputs.indices.data<std::int32_t>()[i]) {
    const auto similarities = row_of<float>(inputs.background.similarities, i);
    const auto hard = row_of<float>(inputs.hard_similarities, i);
    const auto hard_rows = row_of<std::int32_t>(inputs.hard, i);
    const float self = inputs.self.data<float>()[i];
    const float shift = std::max(self, *std::ranges::max_element(similarities));
    const auto exponential = [&](float similarity) {
      return std::exp((static_cast<double>(similarity) - shift) / options.tau);
    };
    self_ = exponential(self);
    log_self_ = (static_cast<double>(self) - shift) / options.tau;
    background_.resize(similarities.size());
    std::ranges::transform(similarities, background_.begin(), exponential);
    for (std::size_t p = 0; p < hard.size(); ++p) {
      hard_.push_back(hard_rows[p] >= 0 ? exponential(hard[p]) : 0);
      hard_sum_ += hard_.back();
    }
    self_place_ = place_of(index_);
  }

  double instance_loss() {
    for (const double e : background_) all_ += e;
    if (options_.form == ContrastForm::kReleased) {
      const double ratio = self_ / all_;
      const double slope = ratio / (ratio + kFloor);
      self_weight = -slope;
      background_slope_ = slope / all_;
      return -std::log(ratio + kFloor);
    }
    const double sum = all_ + (self_place_ < 0 ? self_ : 0);
    self_weight = (self_place_ < 0 ? self_ / sum : 0) - 1;
    background_slope_ = 1 / sum;
    return std::log(sum) - log_self_;
  }

  /// After instance_loss().
  double invariance_loss() {
    // The sums leave places out rather than subtract them, so that a dominant e_i cannot cancel the
    // rest away.
    left_out_.clear();
    if (self_place_ >= 0) left_out_.push_back(self_place_);
    if (options_.form == ContrastForm::kPaper) {
      for (const std::int32_t positive : positives_) {
        if (const std::int64_t place = place_of(positive); place >= 0) left_out_.push_back(place);
      }
    }
    std::ranges::sort(left_out_);
    double rest = 0;
    for_each_kept([&](std::size_t j) { rest += background_[j]; });
    if (hard_sum_ <= 0) return 0;
    return options_.form == ContrastForm::kPaper ? paper_invariance(rest)
                                                 : released_invariance(rest);
  }

  /// weights[j] = scale * (weight of background row j).
  void write_background(std::span<float> weights, double scale) const {
    for (std::size_t j = 0; j < weights.size(); ++j) {
      weights[j] = static_cast<float>(scale * background_slope_ * background_[j]);
    }
    if (rest_slope_ == 0) return;
    for_each_kept([&](std::size_t j) {
      weights[j] = static_cast<float>(scale * (background_slope_ + rest_slope_) * background_[j]);
    });
  }

  void write_hard(std::span<float> weights, double scale) const {
    for (std::size_t p = 0; p < weights.size(); ++p) {
      weights[p] = static_cast<float>(scale * hard_slope_ * hard_[p]);
    }
  }

  double self_weight = 0;

 private:
  double paper_invariance(double rest) {
    const double sum = rest + hard_sum_;
    rest_slope_ = options_.invariance_weight / sum;
    hard_slope_ = options_.invariance_weight * (1 / sum - 1 / hard_sum_);
    return std::log(sum) - std::log(hard_sum_);
  }

  double released_invariance(double rest) {
    const double sum = self_place_ < 0 ? rest - self_ : rest;
    if (sum <= 0) return 0;
    const double ratio = hard_sum_ / sum;
    const double slope = options_.invariance_weight * ratio / (ratio + kFloor);
    rest_slope_ = slope / sum;
    hard_slope_ = -slope / hard_sum_;
    if (self_place_ < 0) self_weight -= slope * self_ / sum;
    return -std::log(ratio + kFloor);
  }

  /// Where in the background a row stands, or -1.
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

  const ContrastOptions& options_;
  std::span<const std::int32_t> rows_;
  std::span<const std::int32_t> positives_;
  std::int32_t index_;
  std::int64_t self_place_ = -1;
  double self_ = 0;
  double log_self_ = 0;
  double all_ = 0;
  double hard_sum_ = 0;
  std::vector<double> background_;
  std::vector<double> hard_;
  std::vector<std::int64_t> left_out_;
  // Weights are slopes times exponentials; the rest is the background less what is left out.
  double background_slope_ = 0;
  double rest_slope_ = 0;
  double hard_slope_ = 0;
};

}  // namespace

void contrast(const ContrastInputs& inputs, const ContrastOptions& options, const Contrast& out) {
  const std::int64_t batch = inputs.indices.dim(0);
  const double scale = 1 / (static_cast<double>(options.tau) * static_cast<double>(batch));
  parallel_for(0, batch, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      Image image(inputs, options, i);
      const std::span<float> loss = row_of<float>(out.losses, i);
      loss[0] = static_cast<float>(image.instance_loss());
      loss[1] = static_cast<float>(image.invariance_loss());
      image.write_background(row_of<float>(out.background_weights, i), scale);
      image.write_hard(row_of<float>(out.hard_weights, i), scale);
      out.self_weights.data<float>()[i] = static_cast<float>(scale * image.self_weight);
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
  means[2] = static_cast<float>(instance + options.invariance_weight * invariance);
}

}  // namespace invp::cpu
