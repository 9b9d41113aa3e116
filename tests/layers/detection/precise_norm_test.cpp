#include "layers/detection/precise_norm.h"

#include <gmock/gmock.h>

#include "engine/autograd/node.h"
#include "engine/core/layout.h"
#include "tests/layers/detection/golden.h"

namespace invp::testing {
namespace {

Tensor norm_golden(const std::string& name) {
  static const TensorFile file = read_safetensors(golden("detection/norms.safetensors"));
  const Tensor* const found = file.find(name);
  if (found == nullptr) throw std::runtime_error("the golden file has no tensor " + name);
  return *found;
}

/// Maps N C H W of several groups.
MapGroups groups_of(const std::vector<Tensor>& maps) {
  MapGroups groups;
  std::vector<float> rows;
  for (const Tensor& map : maps) {
    const Tensor last = channels_last(map);
    rows.insert(rows.end(), last.data<float>(), last.data<float>() + last.numel());
    groups.sizes.push_back({last.dim(0), last.dim(1), last.dim(2)});
  }
  const std::int64_t channels = maps.front().dim(1);
  groups.rows = Tensor::from(rows, {rows_of(groups.sizes), channels});
  return groups;
}

void expect_near(const Tensor& mine, const Tensor& expected, double tolerance) {
  const Values a = values_of(mine), b = values_of(expected);
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i)
    EXPECT_NEAR(a[i], b[i], tolerance * std::max(1.0, std::abs(b[i]))) << i;
}

TEST(PreciseNorm, RulesOfFvcore) {
  for (const PreciseNormRule rule : {PreciseNormRule::kAverage, PreciseNormRule::kPooled}) {
    BatchNorm2d norm(3);
    PreciseNorm precise({&norm});
    for (int i = 0; i < 4; ++i) {
      MapGroups batch = groups_of({norm_golden("precise.x" + std::to_string(i))});
      batch.norms.momentum = 1;
      norm.forward(batch);
      precise.add();
    }
    precise.finish(rule);
    const bool pooled = rule == PreciseNormRule::kPooled;
    expect_near(norm.running_mean(),
                norm_golden(pooled ? "precise.pooled.mean" : "precise.average.mean"), 1e-6);
    expect_near(norm.running_var(),
                norm_golden(pooled ? "precise.pooled.var" : "precise.average.var_unbiased"), 1e-6);
  }
}

TEST(PreciseNorm, NeedsABatch) {
  BatchNorm2d norm(3);
  EXPECT_THROW(PreciseNorm({&norm}).finish(PreciseNormRule::kAverage), Error);
}

// detectron2's batch norm over four ranks, in both forms.
TEST(BatchNormOverRanks, MatchesDetectron2) {
  for (const NormSharing sharing : {NormSharing::kNaive, NormSharing::kSync}) {
    const std::string form = sharing == NormSharing::kNaive ? "ranks.naive." : "ranks.sync.";
    std::vector<Tensor> x, dy, y, dx;
    for (int rank = 0; rank < 4; ++rank) {
      const std::string number = std::to_string(rank);
      x.push_back(norm_golden("ranks.x" + number));
      dy.push_back(norm_golden("ranks.grad_y" + number));
      y.push_back(norm_golden(form + "y" + number));
      dx.push_back(norm_golden(form + "grad_x" + number));
    }
    BatchNorm2d norm(4);
    norm.weight().copy_from(norm_golden("ranks.weight"));
    norm.bias().copy_from(norm_golden("ranks.bias"));
    MapGroups in = groups_of(x);
    in.rows.set_requires_grad(true);
    in.norms.sharing = sharing;
    const MapGroups out = norm.forward(in);
    expect_near(out.rows, groups_of(y).rows, 2e-6);
    backward(out.rows, groups_of(dy).rows);
    expect_near(in.rows.grad(), groups_of(dx).rows, 5e-6);
    expect_near(norm.running_mean(), norm_golden(form + "running_mean"), 1e-6);
    expect_near(norm.running_var(), norm_golden(form + "running_var"), 1e-6);
    Values weight(4);
    for (int rank = 0; rank < 4; ++rank) {
      const Tensor part = sharing == NormSharing::kNaive
                              ? norm_golden(form + "grad_weight" + std::to_string(rank))
                              : norm_golden(form + "grad_weight");
      for (std::size_t c = 0; c < 4; ++c)
        weight[c] += values_of(part)[c] / (sharing == NormSharing::kNaive ? 1 : 4);
    }
    expect_near(norm.weight().grad(), tensor(weight, {4}), 1e-5);
  }
}

TEST(PreciseNorm, OfTheReferencesDetector) {
  struct Pass {
    std::vector<int> pictures;
    std::vector<bool> flipped;
  };
  const std::vector<Pass> passes = {
      {{0, 1}, {false, false}}, {{0, 1}, {true, true}}, {{0}, {false}}, {{1}, {true}}};
  for (const PreciseNormRule rule : {PreciseNormRule::kAverage, PreciseNormRule::kPooled}) {
    const auto detector = tiny_detector();
    PreciseNorm precise(detector->norms());
    const NoGrad no_grad;
    for (const Pass& pass : passes) {
      DetectorInput input;
      add_group(input, pass.pictures, pass.flipped);
      input.images.norms.momentum = 1;
      detector->losses(input, {}, tiny_sampler);
      precise.add();
    }
    precise.finish(rule);
    const std::string prefix =
        rule == PreciseNormRule::kPooled ? "precise.pooled." : "precise.average.";
    for (const auto& [name, tensor] : detector->buffers()) {
      const Values mine = values_of(tensor), expected = values_of(tiny(prefix + name));
      double difference = 0, size = 0;
      for (std::size_t i = 0; i < mine.size(); ++i) {
        difference += std::pow(mine[i] - expected[i], 2);
        size += std::pow(expected[i], 2);
      }
      EXPECT_LT(std::sqrt(difference / size), 1e-4) << name;
    }
  }
}

}  // namespace
}  // namespace invp::testing
