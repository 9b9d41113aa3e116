#include "engine/ops/groups/batch_norm_groups.h"

#include <gmock/gmock.h>

#include "engine/autograd/node.h"
#include "engine/autograd/recompute.h"
#include "tests/engine/ops/groups/batch_norm_groups_oracle.h"
#include "tests/support/close.h"
#include "tests/support/devices.h"

namespace invp::testing {
namespace {

using Fusion = BatchNormFusion;
using ::testing::ThrowsMessage;

class BatchNormGroupsTest : public OpTest {};
RUN_ON_ALL_DEVICES(BatchNormGroupsTest);

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
      {{1, 2, 3}, {2, 2, 2}}, {{1, 1, 2}, {1, 3, 3}, {1, 1, 1}, {3, 1, 1}}, {{2, 3, 1}}};
  for (const auto& sizes : all) {
    for (const NormSharing sharing :
         {NormSharing::kLocal, NormSharing::kNaive, NormSharing::kSync}) {
      if (sharing == NormSharing::kLocal && sizes.size() == 4) continue;  // a group of one value
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

// A group of which no picture is left.
TEST_P(BatchNormGroupsTest, AGroupWithoutValuesHasNoShare) {
  for (const NormSharing sharing : {NormSharing::kLocal, NormSharing::kNaive, NormSharing::kSync}) {
    const Problem p = smooth_problem({{1, 2, 3}, {2, 2, 2}}, sharing, Fusion::kRelu);
    Problem hollow = p;
    hollow.sizes = {{1, 2, 3}, {0, 2, 2}, {2, 2, 2}};
    const Inputs want(p, device());
    const Inputs got(hollow, device());
    const MapGroups y = want.run(p, dtype());
    const MapGroups z = got.run(hollow, dtype());
    expect_identical(z.rows, y.rows);
    backward(y.rows, constant(p.dy, y.rows.shape()));
    backward(z.rows, constant(p.dy, y.rows.shape()));
    expect_identical(got.x.grad(), want.x.grad());
    expect_identical(got.gamma.grad(), want.gamma.grad());
    expect_identical(got.running_var, want.running_var);
  }
}

/// One rank, that counts what it is asked to gather.
class Counting final : public Communicator {
 public:
  Ranks ranks() const override { return {}; }
  void all_reduce(const char*, const Tensor&, Reduction, SumOrder) override { FAIL(); }
  void all_gather(const char* name, const Tensor& mine, const Tensor& all) override {
    names.emplace_back(name);
    invp::alone()->all_gather(name, mine, all);
  }
  void all_to_all(const char*, const Tensor&, const Tensor&) override { FAIL(); }
  void broadcast(const char*, const Tensor&, int) override { FAIL(); }
  std::shared_ptr<Communicator> split(int) override { return nullptr; }
  void wait(const DeviceMark&) override { FAIL(); }

  std::vector<std::string> names;
};

TEST_P(BatchNormGroupsTest, RanksExchangeOnceInEachDirectionAlsoWhenThePassIsRecomputed) {
  const Problem p = smooth_problem({{1, 2, 3}, {2, 2, 2}}, NormSharing::kNaive, Fusion::kRelu);
  const auto ranks = std::make_shared<Counting>();
  const Inputs want(p, device());
  const Inputs got(p, device());
  backward(want.run(p, dtype()).rows, constant(p.dy, want.x.shape()));
  const auto body = [&](const Tensor& x) {
    const MapGroups maps{
        .rows = x, .sizes = p.sizes, .norms = {.sharing = p.sharing, .ranks = ranks}};
    return batch_norm_groups(p.fusion, maps, {},
                             {got.gamma, got.beta, got.running_mean, got.running_var}, {})
        .rows;
  };
  backward(recomputed(body, cast(got.x, dtype())), constant(p.dy, want.x.shape()));
  EXPECT_THAT(ranks->names,
              ::testing::ElementsAre("batch norms, forward", "batch norms, backward"));
  expect_identical(got.x.grad(), want.x.grad());
  expect_identical(got.gamma.grad(), want.gamma.grad());
  expect_identical(got.running_mean, want.running_mean);
}

TEST(BatchNormGroups, NeedTwoValues) {
  for (const NormSharing sharing : {NormSharing::kNaive, NormSharing::kSync}) {
    const Problem p = make_problem({{1, 1, 1}, {0, 2, 2}}, 2, sharing, Fusion::kNone);
    EXPECT_THAT([&] { Inputs(p, kCpu).run(p, DType::kF32); },
                ThrowsMessage<Error>(::testing::HasSubstr("more than one value per channel")));
  }
  const Problem p = make_problem({{1, 2, 2}, {1, 1, 1}}, 2, NormSharing::kLocal, Fusion::kNone);
  EXPECT_THAT([&] { Inputs(p, kCpu).run(p, DType::kF32); },
              ThrowsMessage<Error>(::testing::HasSubstr("in each group")));
}

TEST_P(BatchNormGroupsTest, LocalGroupsAreOrdinaryBatchNorms) {
  const Problem p = make_problem({{1, 3, 4}, {2, 2, 3}}, 5, NormSharing::kLocal, Fusion::kRelu);
  const Inputs in(p, device());
  const MapGroups y = in.run(p, dtype());
  for (const std::size_t g : {0UL, 1UL}) {
    const Problem one = of_groups(p, g, g + 1);
    const Inputs alone(one, device());
    const Tensor want = batch_norm_relu(cast(alone.x, dtype()), alone.gamma, alone.beta,
                                        alone.running_mean, alone.running_var);
    expect_identical(
        y.rows.slice(12 * static_cast<std::int64_t>(g), 12 + 12 * static_cast<std::int64_t>(g)),
        want.detach());
    if (g == 0) expect_identical(in.running_var, alone.running_var);
  }
}

}  // namespace
}  // namespace invp::testing
