#include "engine/ops/groups/batch_norm_groups.h"

#include <gmock/gmock.h>

#include "engine/autograd/node.h"
#include "tests/support/close.h"
#include "tests/support/devices.h"
#include "tests/support/gradient.h"

namespace invp::testing {
namespace {

using Fusion = BatchNormFusion;
using ::testing::ThrowsMessage;

class BatchNormGroupsTest : public OpTest {};
RUN_ON_ALL_DEVICES(BatchNormGroupsTest);

struct Problem {
  std::vector<MapSize> sizes;
  std::int64_t channels;
  NormSharing sharing;
  Fusion fusion;
  Values x, residual, gamma, beta, running_mean, running_var, dy;
};

Problem make_problem(std::vector<MapSize> sizes, std::int64_t channels, NormSharing sharing,
                     Fusion fusion, std::uint64_t seed = 0) {
  const std::int64_t n = rows_of(sizes) * channels;
  return {.sizes = std::move(sizes),
          .channels = channels,
          .sharing = sharing,
          .fusion = fusion,
          .x = random_values(seed + 1, n),
          .residual = random_values(seed + 2, n),
          .gamma = random_values(seed + 3, channels),
          .beta = random_values(seed + 4, channels),
          .running_mean = random_values(seed + 5, channels),
          .running_var = random_values(seed + 6, channels, 0.5, 2),
          .dy = random_values(seed + 7, n)};
}

struct Statistics {
  double mean = 0, var = 0, running_var = 0;
};

/// Of one channel, by the definition: averages of x and x^2.
Statistics statistics_of(const Problem& p, std::int64_t channel) {
  double mean = 0, square = 0;
  std::size_t at = static_cast<std::size_t>(channel);
  const auto all = static_cast<double>(rows_of(p.sizes));
  for (const MapSize& size : p.sizes) {
    const double share =
        p.sharing == NormSharing::kSync
            ? 1 / all
            : 1 / (static_cast<double>(size.rows()) * static_cast<double>(p.sizes.size()));
    for (std::int64_t row = 0; row < size.rows(); ++row) {
      mean += share * p.x[at];
      square += share * p.x[at] * p.x[at];
      at += static_cast<std::size_t>(p.channels);
    }
  }
  Statistics s{.mean = mean, .var = square - mean * mean};
  const bool unbiased = p.sharing == NormSharing::kSync || p.sizes.size() == 1;
  s.running_var = unbiased ? s.var * all / (all - 1) : s.var;
  return s;
}

Values forward(const Problem& p) {
  Values y = p.x;
  for (std::int64_t c = 0; c < p.channels; ++c) {
    const Statistics s = statistics_of(p, c);
    const auto channel = static_cast<std::size_t>(c);
    for (std::size_t i = channel; i < y.size(); i += static_cast<std::size_t>(p.channels)) {
      y[i] = p.gamma[channel] * (p.x[i] - s.mean) / std::sqrt(s.var + 1e-5) + p.beta[channel];
      if (p.fusion == Fusion::kAddRelu) y[i] += p.residual[i];
      if (p.fusion != Fusion::kNone) y[i] = std::max(y[i], 0.0);
    }
  }
  return y;
}

/// The gradient of inner(y, dy) with respect to one of the problem's parts, by central differences.
Values numeric(const Problem& p, Values Problem::*which) {
  constexpr double kStep = 1e-5;
  Values gradient;
  Problem moved = p;
  for (std::size_t i = 0; i < (p.*which).size(); ++i) {
    (moved.*which)[i] = (p.*which)[i] + kStep;
    const double above = inner(forward(moved), p.dy);
    (moved.*which)[i] = (p.*which)[i] - kStep;
    const double below = inner(forward(moved), p.dy);
    (moved.*which)[i] = (p.*which)[i];
    gradient.push_back((above - below) / (2 * kStep));
  }
  return gradient;
}

/// No value of the fused form lies within the step's reach of relu's kink.
bool smooth(const Problem& p) {
  Problem bare = p;
  bare.fusion = Fusion::kNone;
  Values y = forward(bare);
  for (std::size_t i = 0; i < y.size(); ++i) {
    if (p.fusion == Fusion::kAddRelu) y[i] += p.residual[i];
    if (std::abs(y[i]) < 1e-3) return false;
  }
  return true;
}

/// The first problem that has a derivative everywhere.
Problem smooth_problem(const std::vector<MapSize>& sizes, NormSharing sharing, Fusion fusion) {
  for (std::uint64_t seed = 0;; seed += 10) {
    Problem p = make_problem(sizes, 3, sharing, fusion, seed);
    if (fusion == Fusion::kNone || smooth(p)) return p;
  }
}

struct Inputs {
  Tensor x, residual, gamma, beta, running_mean, running_var;

  Inputs(const Problem& p, Device device)
      : x(leaf(p.x, {rows_of(p.sizes), p.channels}, device)),
        residual(leaf(p.residual, {rows_of(p.sizes), p.channels}, device)),
        gamma(leaf(p.gamma, {p.channels}, device)),
        beta(leaf(p.beta, {p.channels}, device)),
        running_mean(tensor(p.running_mean, {p.channels}, device)),
        running_var(tensor(p.running_var, {p.channels}, device)) {}

  MapGroups run(const Problem& p, DType dtype, float momentum = 0.1F) const {
    const MapGroups maps{.rows = cast(x, dtype),
                         .sizes = p.sizes,
                         .norms = {.sharing = p.sharing, .momentum = momentum}};
    return batch_norm_groups(p.fusion, maps,
                             p.fusion == Fusion::kAddRelu ? cast(residual, dtype) : Tensor(),
                             {gamma, beta, running_mean, running_var}, {});
  }
};

TEST_P(BatchNormGroupsTest, MatchesItsDefinition) {
  const std::vector<std::vector<MapSize>> all = {
      {{1, 2, 3}, {2, 2, 2}}, {{1, 1, 2}, {1, 3, 3}, {1, 2, 2}, {3, 1, 1}}, {{2, 3, 1}}};
  for (const auto& sizes : all) {
    for (const NormSharing sharing : {NormSharing::kNaive, NormSharing::kSync}) {
      for (const Fusion fusion : {Fusion::kNone, Fusion::kRelu, Fusion::kAddRelu}) {
        const Problem p = smooth_problem(sizes, sharing, fusion);
        SCOPED_TRACE(message(sizes.size(), " groups, sharing ", static_cast<int>(sharing),
                             ", fusion ", static_cast<int>(fusion)));
        const Inputs in(p, device());
        const MapGroups y = in.run(p, dtype());
        const std::int64_t rows = rows_of(sizes);
        expect_close(y.rows, forward(p), rows);
        backward(y.rows, constant(p.dy, y.rows.shape()));
        expect_close(in.x.grad(), numeric(p, &Problem::x), rows, dtype(), 4);
        expect_close(in.gamma.grad(), numeric(p, &Problem::gamma), rows);
        expect_close(in.beta.grad(), numeric(p, &Problem::beta), rows);
        if (fusion == Fusion::kAddRelu)
          expect_close(in.residual.grad(), numeric(p, &Problem::residual), 1, dtype());
        for (std::int64_t c = 0; c < p.channels; ++c) {
          const Statistics s = statistics_of(p, c);
          const auto at = static_cast<std::size_t>(c);
          EXPECT_NEAR(values_of(in.running_mean)[at], 0.9 * p.running_mean[at] + 0.1 * s.mean,
                      1e-5);
          EXPECT_NEAR(values_of(in.running_var)[at], 0.9 * p.running_var[at] + 0.1 * s.running_var,
                      1e-5);
        }
      }
    }
  }
}

// Detectron2's own formula loses these digits (E[x^2] - E[x]^2 in f32); the definition does not.
TEST_P(BatchNormGroupsTest, AFarMeanKeepsTheDeviation) {
  Problem p = make_problem({{1, 8, 8}, {1, 4, 8}}, 2, NormSharing::kNaive, Fusion::kNone);
  for (double& value : p.x) value = 4096 + std::round(value * 2) / 2;
  if (dtype() != DType::kF32) GTEST_SKIP() << "bf16 has no half at 4096";
  const Inputs in(p, device());
  expect_close(in.run(p, dtype()).rows, forward(p), 96);
}

TEST_P(BatchNormGroupsTest, MomentumOfOneLeavesTheBatchsOwnStatistics) {
  const Problem p = make_problem({{1, 3, 4}, {2, 2, 3}}, 5, NormSharing::kNaive, Fusion::kRelu);
  const Inputs in(p, device());
  in.run(p, dtype(), 1);
  for (std::int64_t c = 0; c < p.channels; ++c) {
    const Statistics s = statistics_of(p, c);
    EXPECT_NEAR(values_of(in.running_mean)[static_cast<std::size_t>(c)], s.mean, 1e-5);
    EXPECT_NEAR(values_of(in.running_var)[static_cast<std::size_t>(c)], s.var, 1e-5);
  }
}

TEST(BatchNormGroups, GroupsNeedTwoValues) {
  const Problem p = make_problem({{1, 1, 1}, {1, 2, 2}}, 2, NormSharing::kNaive, Fusion::kNone);
  EXPECT_THAT([&] { Inputs(p, kCpu).run(p, DType::kF32); },
              ThrowsMessage<Error>(::testing::HasSubstr("more than one value per channel")));
}

}  // namespace
}  // namespace invp::testing
