#include "layers/detection/precise_norm.h"

namespace invp {

const std::vector<std::pair<std::string, PreciseNormRule>>& all_precise_norm_rules() {
  static const std::vector<std::pair<std::string, PreciseNormRule>> rules = {
      {"average", PreciseNormRule::kAverage}, {"pooled", PreciseNormRule::kPooled}};
  return rules;
}

PreciseNorm::PreciseNorm(std::vector<BatchNorm2d*> norms) : norms_(std::move(norms)) {
  for (const BatchNorm2d* const norm : norms_) {
    const auto channels = static_cast<std::size_t>(norm->weight().numel());
    const std::vector<double> zeros(channels);
    sums_.push_back({.mean = zeros, .var = zeros, .weighted = zeros, .squares = zeros});
  }
}

void PreciseNorm::add() {
  ++passes_;
  for (std::size_t i = 0; i < norms_.size(); ++i) {
    Sums& sums = sums_[i];
    const Tensor mean = norms_[i]->running_mean().to(kCpu);
    const Tensor var = norms_[i]->running_var().to(kCpu);
    const auto values = static_cast<double>(norms_[i]->group_values());
    sums.values += values;
    for (std::size_t c = 0; c < sums.mean.size(); ++c) {
      const double m = mean.data<float>()[c], v = var.data<float>()[c];
      sums.mean[c] += m;
      sums.var[c] += v;
      sums.weighted[c] += values * m;
      sums.squares[c] += values * m * m + (values - 1) * v;
    }
  }
}

void PreciseNorm::finish(PreciseNormRule rule) const {
  CHECK(passes_ > 0, "[precise_norm] no batch was looked at");
  const auto passes = static_cast<double>(passes_);
  for (std::size_t i = 0; i < norms_.size(); ++i) {
    const Sums& sums = sums_[i];
    std::vector<float> mean, var;
    for (std::size_t c = 0; c < sums.mean.size(); ++c) {
      const bool pooled = rule == PreciseNormRule::kPooled;
      const double m = pooled ? sums.weighted[c] / sums.values : sums.mean[c] / passes;
      const double v = pooled ? sums.squares[c] / sums.values - m * m : sums.var[c] / passes;
      mean.push_back(static_cast<float>(m));
      var.push_back(static_cast<float>(v));
    }
    const Shape shape = norms_[i]->running_mean().shape();
    norms_[i]->running_mean().copy_from(Tensor::from(mean, shape));
    norms_[i]->running_var().copy_from(Tensor::from(var, shape));
  }
}

}  // namespace invp
