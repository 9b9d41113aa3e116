#include "invp/tsne/tsne.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/core/parallel.h"
#include "engine/core/random.h"
#include "invp/tsne/principal_components.h"

namespace invp {

namespace {

/// Up to so many points, summing all pairs is faster than the grid.
constexpr std::int64_t kMostAllPairs = 5'000;
/// Most points of the exact method: every pair takes 8 bytes.
constexpr std::int64_t kMostExact = 20'000;
/// Up to so many points, the final Z is summed over all pairs.
constexpr std::int64_t kMostExactZ = 300'000;
constexpr double kStartDeviation = 1e-4;
constexpr int kKlEvery = 50;

/// Each point needs 3 perplexity others.
void check_perplexity(double perplexity, std::int64_t n) {
  const double most = static_cast<double>(n - 1) / 3;
  if (perplexity <= most) return;
  CHECK(most > 1, "[tsne] too few points: it takes at least 5, got ", n);
  // A whole number where there is one; rounded down, so that it is accepted.
  const double shown = most >= 2 ? std::floor(most) : std::floor(most * 100) / 100;
  fail("[tsne] perplexity ", perplexity, " needs at least ",
       static_cast<std::int64_t>(std::ceil(3 * perplexity)) + 1, " points, got ", n,
       "; choose at most ", shown);
}

void check(const Tensor& features, const TsneConfig& config) {
  CHECK(features.rank() == 2 && features.dtype() == DType::kF32 && features.dim(1) >= 1,
        "[tsne] features must be f32 of shape (n, d), got ", features.dtype(), " ",
        features.shape());
  CHECK(config.perplexity > 1, "[tsne] perplexity must be above 1, got ", config.perplexity);
  const std::int64_t n = features.dim(0);
  check_perplexity(config.perplexity, n);
  CHECK(n <= std::numeric_limits<std::int32_t>::max() / 2, "[tsne] at most 2^30 points, got ", n);
  CHECK(config.method != TsneMethod::kExact || n <= kMostExact, "[tsne] the exact method takes ",
        kMostExact, " points at most, got ", n, "; all-pairs and interpolation take more");
  CHECK(config.early_exaggeration > 0 && config.learning_rate > 0 && config.iterations >= 0 &&
            config.pca >= 0,
        "[tsne] exaggeration and learning rate must be positive, iterations and components not "
        "negative");
  const std::int64_t d = features.dim(1);
  const std::span<const float> values = features.span<float>();
  const auto bad = std::ranges::find_if(values, [](float value) { return !std::isfinite(value); });
  CHECK(bad == values.end(), "[tsne] features must be finite, got ", *bad, " in row ",
        (bad - values.begin()) / d, ", column ", (bad - values.begin()) % d);
}

TsneMethod method_for(const TsneConfig& config, std::int64_t n) {
  if (config.method != TsneMethod::kAuto) return config.method;
  return n <= kMostAllPairs ? TsneMethod::kAllPairs : TsneMethod::kInterpolation;
}

std::unique_ptr<Repulsion> repulsion_for(TsneMethod method, double theta) {
  switch (method) {
    case TsneMethod::kBarnesHut: return barnes_hut_repulsion(theta);
    case TsneMethod::kInterpolation: return grid_repulsion();
    default: return all_pairs_repulsion();
  }
}

double rate_of(const TsneConfig& config, std::int64_t n, double exaggeration) {
  switch (config.rate) {
    case TsneRate::kFixed: return config.learning_rate;
    case TsneRate::kPhase: return static_cast<double>(n) / exaggeration;
    default: return std::max(200.0, static_cast<double>(n) / config.early_exaggeration);
  }
}

/// One coordinate of all points during the descent.
class Axis {
 public:
  explicit Axis(std::vector<double> start)
      : y_(std::move(start)), update_(y_.size()), gains_(y_.size(), 1) {}

  /// Each coordinate has a gain, which rises while the gradient points against the last update.
  void propose(std::size_t i, double gradient, double momentum, double rate) {
    constexpr double kLeastGain = 0.01;
    const auto sign = [](double value) { return (value > 0) - (value < 0); };
    double& gain = gains_[i];
    gain = sign(gradient) != sign(update_[i]) ? gain + 0.2 : gain * 0.8;
    gain = std::max(gain, kLeastGain);
    update_[i] = momentum * update_[i] - rate * gain * gradient;
  }
  double& update(std::size_t i) { return update_[i]; }
  void move(std::size_t i) { y_[i] += update_[i]; }
  void centre(std::vector<float>& copy) {
    double mean = 0;
    for (const double y : y_) mean += y;
    mean /= static_cast<double>(y_.size());
    for (std::size_t i = 0; i < y_.size(); ++i) {
      y_[i] -= mean;
      copy[i] = static_cast<float>(y_[i]);
    }
  }

 private:
  std::vector<double> y_, update_, gains_;
};

std::pair<std::vector<double>, std::vector<double>> start_points(const Tensor& data,
                                                                 const TsneConfig& config) {
  const auto n = static_cast<std::size_t>(data.dim(0));
  std::pair<std::vector<double>, std::vector<double>> start(n, n);
  if (config.start == TsneStart::kRandom) {
    Random random(config.seed, Purpose::kInitialisation);
    for (std::size_t i = 0; i < n; ++i) {
      start.first[i] = kStartDeviation * random.normal();
      start.second[i] = kStartDeviation * random.normal();
    }
    return start;
  }
  const Tensor components = principal_components(data, 2);
  const std::int64_t count = components.dim(1);
  double variance = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const float* row = components.data<float>() + static_cast<std::int64_t>(i) * count;
    start.first[i] = row[0];
    start.second[i] = count > 1 ? row[1] : 0;
    variance += start.first[i] * start.first[i] / static_cast<double>(n);
  }
  const double scale = variance > 0 ? kStartDeviation / std::sqrt(variance) : 0;
  for (std::size_t i = 0; i < n; ++i) {
    start.first[i] *= scale;
    start.second[i] *= scale;
  }
  // Points that start at the same place never part, so each is moved a little.
  Random random(config.seed, Purpose::kInitialisation);
  constexpr double kShake = 0.01 * kStartDeviation;
  for (std::size_t i = 0; i < n; ++i) {
    start.first[i] += kShake * random.normal();
    start.second[i] += kShake * random.normal();
  }
  return start;
}

Tensor tensor_of(const Points& points) {
  Tensor tensor = Tensor::empty({points.size(), 2});
  for (std::int64_t i = 0; i < points.size(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    tensor.data<float>()[2 * i] = points.x[at];
    tensor.data<float>()[2 * i + 1] = points.y[at];
  }
  return tensor;
}

/// One step of gradient descent on every point, none longer than config.longest_step.
/// gradient(i): along x and along y.
template <class Gradient>
void descend(Axis& x, Axis& y, const TsneConfig& config, double rate, double momentum,
             const Gradient& gradient, std::int64_t n) {
  parallel_for(0, n, 4096, [&](std::int64_t begin, std::int64_t end) {
    for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
      const auto [along_x, along_y] = gradient(i);
      x.propose(i, along_x, momentum, rate);
      y.propose(i, along_y, momentum, rate);
      if (config.longest_step > 0) {
        const double length = std::hypot(x.update(i), y.update(i));
        const double scale = std::min(1.0, config.longest_step / std::max(length, 1e-300));
        x.update(i) *= scale;
        y.update(i) *= scale;
      }
      x.move(i);
      y.move(i);
    }
  });
}

}  // namespace

void attract(const Affinities& affinities, const Points& points, Points& forces) {
  parallel_for(0, affinities.size(), 64, [&](std::int64_t begin, std::int64_t end) {
    const std::int32_t* columns = affinities.columns.data();
    const float* values = affinities.values.data();
    const float* x = points.x.data();
    const float* y = points.y.data();
    for (std::int64_t i = begin; i < end; ++i) {
      const float x_i = x[i];
      const float y_i = y[i];
      float fx = 0;
      float fy = 0;
      const std::int64_t last = affinities.begin[static_cast<std::size_t>(i + 1)];
#pragma omp simd reduction(+ : fx, fy)
      for (std::int64_t e = affinities.begin[static_cast<std::size_t>(i)]; e < last; ++e) {
        const float dx = x_i - x[columns[e]];
        const float dy = y_i - y[columns[e]];
        const float pq = values[e] / (1 + dx * dx + dy * dy);
        fx += pq * dx;
        fy += pq * dy;
      }
      forces.x[static_cast<std::size_t>(i)] = fx;
      forces.y[static_cast<std::size_t>(i)] = fy;
    }
  });
}

double kl_divergence(const Affinities& affinities, const Points& points, double normaliser) {
  const std::int64_t n = affinities.size();
  std::vector<double> rows(static_cast<std::size_t>(n));
  parallel_for(0, n, 64, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const auto at = static_cast<std::size_t>(i);
      double sum = 0;
      for (std::int64_t e = affinities.begin[at]; e < affinities.begin[at + 1]; ++e) {
        const double p = affinities.values[static_cast<std::size_t>(e)];
        const auto j = static_cast<std::size_t>(affinities.columns[static_cast<std::size_t>(e)]);
        const double dx = static_cast<double>(points.x[at]) - points.x[j];
        const double dy = static_cast<double>(points.y[at]) - points.y[j];
        if (p > 0) sum += p * std::log(p * (1 + dx * dx + dy * dy) * normaliser);
      }
      rows[at] = sum;
    }
  });
  double total = 0;
  for (const double row : rows) total += row;
  return total;
}

TsneResult tsne(const Tensor& features, const TsneConfig& config, const TsneObserver& observer) {
  check(features, config);
  const std::int64_t n = features.dim(0);
  TsneResult result{.points = {}, .method = method_for(config, n)};
  const Tensor data = prepare_features(features, config.pca);
  const std::int64_t neighbors = result.method == TsneMethod::kExact
                                     ? n - 1
                                     : static_cast<std::int64_t>(3 * config.perplexity);
  const auto nearest = nearest_rows(data, neighbors, [&](std::int64_t done, std::int64_t total) {
    return observer({TsnePhase::kNeighbors, done, total, std::numeric_limits<double>::quiet_NaN()});
  });
  if (!nearest) return result;
  const Affinities affinities = joint_affinities(*nearest, config.perplexity);

  auto [start_x, start_y] = start_points(data, config);
  Axis x(std::move(start_x));
  Axis y(std::move(start_y));
  Points points(n);
  x.centre(points.x);
  y.centre(points.y);
  Points pull(n);
  Points push(n);
  const std::unique_ptr<Repulsion> repulsion = repulsion_for(result.method, config.theta);
  double normaliser = 0;
  for (bool wanted = true; result.iterations < config.iterations && wanted;) {
    const bool early = result.iterations < config.early_iterations;
    const double exaggeration = early ? config.early_exaggeration : 1;
    const double momentum = early ? config.early_momentum : config.momentum;
    const double rate = rate_of(config, n, exaggeration);
    attract(affinities, points, pull);
    normaliser = repulsion->sum(points, push);
    double kl = std::numeric_limits<double>::quiet_NaN();
    if (result.iterations % kKlEvery == 0) kl = kl_divergence(affinities, points, normaliser);
    descend(
        x, y, config, rate, momentum,
        [&](std::size_t i) {
          return std::pair(exaggeration * pull.x[i] - push.x[i] / normaliser,
                           exaggeration * pull.y[i] - push.y[i] / normaliser);
        },
        n);
    x.centre(points.x);
    y.centre(points.y);
    ++result.iterations;
    wanted = observer({TsnePhase::kDescent, result.iterations, config.iterations, kl});
  }
  if (n <= kMostExactZ) {
    normaliser = all_pairs_normaliser(points);
  } else {
    normaliser = repulsion->sum(points, push);
  }
  result.kl = kl_divergence(affinities, points, normaliser);
  result.points = tensor_of(points);
  return result;
}

}  // namespace invp
