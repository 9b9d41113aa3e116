// The objective, all its options and both its forms, against the slow one of objective_oracle.h.
#include "invp/method/objective.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <tuple>

#include "engine/autograd/node.h"
#include "engine/core/parallel.h"
#include "engine/ops/basic/l2_normalize.h"
#include "engine/ops/basic/scale.h"
#include "tests/invp/method/objective_oracle.h"
#include "tests/support/close.h"
#include "tests/support/devices.h"

namespace invp {
namespace {

using testing::OracleInput;
using testing::OracleResult;
using testing::Rows;
using testing::Values;

/// A bank of loose clusters, a graph of arbitrary edges with a share of unset rows, and features
/// near their bank rows.
OracleInput make_input(std::uint64_t seed, std::int64_t images, std::int64_t dim,
                       std::int64_t batch, const ObjectiveConfig& config, double unset_share) {
  Random random(seed, Purpose::kSynthetic);
  OracleInput in{.dim = dim};
  Values centres(static_cast<std::size_t>(5 * dim));
  for (double& value : centres) value = random.normal();
  for (std::int64_t j = 0; j < images; ++j) {
    Values row(static_cast<std::size_t>(dim));
    for (std::size_t k = 0; k < row.size(); ++k) {
      row[k] = centres[static_cast<std::size_t>(j % 5 * dim) + k] + 0.8 * random.normal();
    }
    for (const double value : testing::normalised(row))
      in.bank.push_back(static_cast<float>(value));
    Rows neighbors(static_cast<std::size_t>(config.neighbors), -1);
    if (random.uniform() >= unset_share) {
      for (std::int64_t& neighbor : neighbors) neighbor = random.integer(0, images - 1);
    }
    in.neighbors.push_back(neighbors);
  }
  for (std::int64_t i = 0; i < batch; ++i) {
    const std::int64_t index = i * images / batch;
    in.indices.push_back(index);
    for (std::int64_t k = 0; k < dim; ++k) {
      const double row = in.bank[static_cast<std::size_t>(index * dim + k)];
      in.features.push_back(static_cast<float>(3 * row + random.normal() / std::sqrt(dim)));
    }
  }
  return in;
}

MemoryBank bank_of(const OracleInput& in, Device device) {
  return MemoryBank(testing::tensor(in.bank, {in.images(), in.dim}, device));
}

NeighborGraph graph_of(const OracleInput& in, Device device) {
  std::vector<std::int32_t> rows;
  for (const Rows& list : in.neighbors) rows.insert(rows.end(), list.begin(), list.end());
  return NeighborGraph(Tensor::from(rows, {in.images(), std::ssize(in.neighbors[0])}, device));
}

Rows list_of(const Tensor& lists, std::size_t i) {
  const std::int64_t width = lists.dim(1);
  const Tensor host = lists.to(kCpu);
  const std::int32_t* first = host.data<std::int32_t>() + static_cast<std::int64_t>(i) * width;
  Rows list(first, first + width);
  std::erase(list, -1);
  return list;
}

Rows sorted(Rows rows) {
  std::erase(rows, -1);
  std::ranges::sort(rows);
  return rows;
}

void expect_matches_oracle(const OracleInput& in, const ObjectiveConfig& config, double weight,
                           Device device) {
  const std::int64_t batch = std::ssize(in.indices);
  const MemoryBank bank = bank_of(in, device);
  const NeighborGraph graph = graph_of(in, device);
  const Tensor features = testing::leaf(in.features, {batch, in.dim}, device);
  const ObjectiveStep step =
      objective(l2_normalize(features), in.indices, bank, graph, config, weight);
  backward(step.loss);

  const OracleResult want = testing::run_oracle(in, config, weight);
  // A similarity of up to 1 is a sum of `dim` terms in f32, and what it is off by counts 1 / tau
  // times in an exponent: that is the scale of errors, however small the loss or its gradient comes
  // out.
  const double exponent = 1 / static_cast<double>(config.tau);
  const double loss_bound = testing::tolerance(DType::kF32, in.dim, (1 + weight) * (exponent + 10));
  const Values means = testing::values_of(step.means);
  EXPECT_NEAR(means[0], want.means.ins, loss_bound);
  EXPECT_NEAR(means[1], want.means.inv, loss_bound);
  EXPECT_NEAR(means[2], want.means.ins + weight * want.means.inv, loss_bound);
  EXPECT_EQ(step.loss.item(), means[2]);

  const Values gradient = testing::values_of(features.grad());
  for (std::size_t i = 0; i < in.indices.size(); ++i) {
    const Values feature = in.feature(i);
    const double length =
        std::sqrt(std::inner_product(feature.begin(), feature.end(), feature.begin(), 0.0));
    // d(loss)/dv is at most 2 (1 + weight) / (tau b), and normalisation divides it by the length.
    const double bound = testing::tolerance(
        DType::kF32, in.dim, 2 * (1 + weight) * exponent / (static_cast<double>(batch) * length));
    for (std::size_t k = i * static_cast<std::size_t>(in.dim);
         k < (i + 1) * static_cast<std::size_t>(in.dim); ++k) {
      EXPECT_NEAR(gradient[k], want.gradient[k], bound);
    }
  }
  for (std::size_t i = 0; i < in.indices.size(); ++i) {
    EXPECT_EQ(list_of(step.positives, i), want.sets[i].positives);
    EXPECT_EQ(sorted(list_of(step.hard_positives, i)), sorted(want.sets[i].hard));
    EXPECT_EQ(sorted(list_of(step.new_neighbors, i)), sorted(want.sets[i].new_neighbors));
  }
}

struct Case {
  const char* name;
  ObjectiveConfig config;
  std::int64_t images = 150;
  std::int64_t dim = 20;
  std::int64_t batch = 6;
  double unset = 0.2;
  double weight = 0.6;
};

std::ostream& operator<<(std::ostream& out, const Case& test) {
  return out << test.name;
}

class ObjectiveCases : public ::testing::TestWithParam<std::tuple<Device, Case>> {};

TEST_P(ObjectiveCases, MatchOracleInBothForms) {
  for (const ContrastForm form : {ContrastForm::kPaper, ContrastForm::kReleased}) {
    SCOPED_TRACE(form == ContrastForm::kPaper ? "paper" : "released");
    auto [device, c] = GetParam();
    c.config.form = form;
    expect_matches_oracle(make_input(11, c.images, c.dim, c.batch, c.config, c.unset), c.config,
                          c.weight, device);
  }
}

const auto kCases = ::testing::Values(
    Case{"Plain", {.background = 40}}, Case{"WarmHead", {.tau = 0.2F, .background = 40}},
    Case{"SmallBackground", {.neighbors = 2, .background = 3}},
    Case{"FewHard", {.hard_positives = 3, .background = 60}},
    Case{"EasyPositives",
         {.hard_positives = 5, .background = 60, .positives = PositiveChoice::kMostSimilar}},
    Case{"AllPositives", {.background = 60, .positives = PositiveChoice::kAll}},
    Case{"OneStep", {.steps = 1, .background = 60}},
    Case{"FourSteps", {.steps = 4, .background = 60}},
    Case{"OneNeighbor", {.neighbors = 1, .steps = 3, .background = 60}},
    Case{"WholeBank", {.background = 4096}},
    Case{"NothingVisited", {.background = 40}, 150, 20, 6, 1.0},
    Case{"EverythingVisited", {.background = 40}, 150, 20, 6, 0.0},
    Case{"PositivesCoverTheBank", {.steps = 4, .background = 4096}, 7, 5, 3, 0.0},
    Case{"FewerImagesThanNeighbors", {.neighbors = 6, .background = 64}, 4, 3, 2, 0.0},
    Case{"OneImageABatch", {.background = 40}, 150, 20, 1},
    Case{"WarmEpoch", {.background = 40}, 150, 20, 6, 0.2, 0.0},
    Case{"NoInvariance", {.background = 40, .no_invariance = true}, 150, 20, 6, 0.2, 0.0});

INSTANTIATE_TEST_SUITE_P(All, ObjectiveCases,
                         ::testing::Combine(::testing::ValuesIn(testing::available_devices()),
                                            kCases),
                         [](const auto& test) {
                           return std::string(std::get<1>(test.param).name) +
                                  (std::get<0>(test.param) == kCpu ? "_cpu" : "_cuda");
                         });

class ObjectiveTest : public testing::DeviceTest {};
RUN_ON_EACH_DEVICE(ObjectiveTest);

// An image far from its own row: e_ii is outside the background, which both forms treat in their
// own way.
TEST_P(ObjectiveTest, CountsAnImageOutsideItsBackground) {
  for (const ContrastForm form : {ContrastForm::kPaper, ContrastForm::kReleased}) {
    const ObjectiveConfig config{.form = form, .tau = 0.3F, .neighbors = 2, .background = 8};
    OracleInput in = make_input(12, 60, 10, 4, config, 0.0);
    for (double& value : in.features) value = -value;
    for (std::size_t i = 0; i < in.indices.size(); ++i) {
      ASSERT_FALSE(testing::find_sets(in, i, config).background.contains(in.indices[i]));
    }
    expect_matches_oracle(in, config, 0.6, device());
  }
}

// One image and its own row: nothing to tell it from. The loss is 0 in the paper's form, the
// floor's in the other; no gradient.
TEST_P(ObjectiveTest, OfABankOfOneImage) {
  for (const ContrastForm form : {ContrastForm::kPaper, ContrastForm::kReleased}) {
    const ObjectiveConfig config{.form = form};
    const MemoryBank bank(Tensor::full({1, 1}, 1, device()));
    const NeighborGraph graph(1, config.neighbors, device());
    const Tensor v = testing::leaf({1.0}, {1, 1}, device());
    const std::vector<std::int64_t> indices{0};
    const ObjectiveStep step = objective(v, indices, bank, graph, config, 0.6);
    backward(step.loss);
    EXPECT_NEAR(step.loss.item(), 0, 2e-7);
    EXPECT_NEAR(v.grad().item(), 0, 1e-6);
    EXPECT_EQ(list_of(step.new_neighbors, 0), Rows{});
  }
}

TEST_P(ObjectiveTest, PassesTheIncomingGradientOn) {
  const ObjectiveConfig config{.background = 30};
  const OracleInput in = make_input(13, 80, 12, 3, config, 0.0);
  const Tensor v = testing::leaf(in.features, {3, 12}, device());
  const ObjectiveStep step =
      objective(v, in.indices, bank_of(in, device()), graph_of(in, device()), config, 0.6);
  backward(step.loss, Tensor::full({}, -2.5F, device()));
  const Tensor again = testing::leaf(in.features, {3, 12}, device());
  backward(objective(again, in.indices, bank_of(in, device()), graph_of(in, device()), config, 0.6)
               .loss);
  testing::expect_identical(v.grad(), scale(again.grad(), Tensor::full({}, -2.5F, device())));
}

TEST_P(ObjectiveTest, DoesNotDependOnThreads) {
  const ObjectiveConfig config{.background = 300};
  const OracleInput in = make_input(14, 9000, 16, 20, config, 0.1);
  const int threads = num_threads();
  std::vector<Tensor> gradients;
  for (const int count : {1, 2, 5}) {
    set_num_threads(count);
    const Tensor v = testing::leaf(in.features, {20, 16}, device());
    backward(
        objective(v, in.indices, bank_of(in, device()), graph_of(in, device()), config, 0.6).loss);
    gradients.push_back(v.grad());
  }
  set_num_threads(threads);
  testing::expect_identical(gradients[1], gradients[0]);
  testing::expect_identical(gradients[2], gradients[0]);
}

// Longer lists than a block of a GPU has threads. Sets are the CPU's; sums may be off by their
// order.
TEST_P(ObjectiveTest, AgreesWithTheCpuOnLongLists) {
  for (const ContrastForm form : {ContrastForm::kPaper, ContrastForm::kReleased}) {
    const ObjectiveConfig config{.form = form, .background = 1500};
    const OracleInput in = make_input(17, 2000, 16, 3, config, 0.1);
    const auto run = [&](Device where, Tensor& gradient) {
      const Tensor v = testing::leaf(in.features, {3, 16}, where);
      ObjectiveStep step =
          objective(v, in.indices, bank_of(in, where), graph_of(in, where), config, 0.6);
      backward(step.loss);
      gradient = v.grad();
      return step;
    };
    Tensor gradient;
    Tensor want_gradient;
    const ObjectiveStep step = run(device(), gradient);
    const ObjectiveStep want = run(kCpu, want_gradient);
    testing::expect_identical(step.positives, want.positives);
    testing::expect_identical(step.hard_positives, want.hard_positives);
    testing::expect_identical(step.new_neighbors, want.new_neighbors);
    testing::expect_close(step.means, testing::values_of(want.means), 1500);
    testing::expect_close(gradient, testing::values_of(want_gradient), 1500);
  }
}

// The step itself changes nothing; update() moves the batch's rows and no others.
TEST_P(ObjectiveTest, UpdateMovesBankAndGraph) {
  const ObjectiveConfig config{.background = 30};
  const OracleInput in = make_input(15, 80, 12, 3, config, 1.0);
  MemoryBank bank = bank_of(in, device());
  NeighborGraph graph = graph_of(in, device());
  const Tensor v = l2_normalize(testing::tensor(in.features, {3, 12}, device()));
  const ObjectiveStep step = objective(v, in.indices, bank, graph, config, 0);
  testing::expect_identical(bank.rows(), bank_of(in, device()).rows());
  testing::expect_identical(graph.rows(), graph_of(in, device()).rows());

  update(step, config, bank, graph);
  Values want = in.bank;
  for (std::size_t i = 0; i < 3; ++i) {
    Values row = testing::normalised(in.feature(i));
    for (std::size_t k = 0; k < 12; ++k) {
      row[k] = 0.5 * row[k] + 0.5 * in.bank[static_cast<std::size_t>(in.indices[i]) * 12 + k];
    }
    std::ranges::copy(testing::normalised(row), want.begin() + in.indices[i] * 12);
    EXPECT_EQ(sorted(list_of(graph.rows(), static_cast<std::size_t>(in.indices[i]))),
              sorted(testing::find_sets(in, i, config).new_neighbors));
  }
  testing::expect_close(bank.rows(), want, 12);
  EXPECT_EQ(list_of(graph.rows(), 1), Rows{});
}

TEST(ObjectiveConfig, WeightsTheEpochs) {
  ObjectiveConfig config{.lambda = 0.5F, .warm_epochs = 10};
  EXPECT_EQ(config.invariance_weight(10), 0);
  EXPECT_EQ(config.invariance_weight(11), 0.5);
  config.ramp = Ramp::kGaussian;
  EXPECT_NEAR(config.invariance_weight(4), 0.5 * std::exp(-5 * 0.36), 1e-12);
  EXPECT_EQ(config.invariance_weight(12), 0.5);
  config.warm_epochs = 0;
  EXPECT_EQ(config.invariance_weight(1), 0.5);
  config.ramp = Ramp::kNone;
  EXPECT_EQ(config.invariance_weight(1), 0.5);
  config.no_invariance = true;
  EXPECT_EQ(config.invariance_weight(100), 0);
}

TEST_P(ObjectiveTest, RefusesWhatDoesNotFit) {
  const ObjectiveConfig good{.background = 30};
  const OracleInput in = make_input(16, 40, 6, 2, good, 0.0);
  const Tensor v = testing::tensor(in.features, {2, 6}, device());
  const auto run = [&](const Tensor& x, const std::vector<std::int64_t>& indices,
                       const ObjectiveConfig& config) {
    objective(x, indices, bank_of(in, device()), graph_of(in, device()), config, 0.6);
  };
  EXPECT_NO_THROW(run(v, in.indices, good));
  EXPECT_THROW(run(v, {0, 40}, good), Error);
  EXPECT_THROW(run(v, {-1, 4}, good), Error);
  EXPECT_THROW(run(v, {0}, good), Error);
  EXPECT_THROW(run(Tensor::zeros({2, 5}, DType::kF32, device()), in.indices, good), Error);
  EXPECT_THROW(run(v, in.indices, {.tau = 0}), Error);
  EXPECT_THROW(run(v, in.indices, {.neighbors = 5}), Error);
  EXPECT_THROW(run(v, in.indices, {.background = 4}), Error);
  EXPECT_THROW(run(v, in.indices, {.bank_momentum = 1.5F}), Error);
}

// The host refuses NaN at once; a GPU, which nobody waits for, lets the loss say so.
TEST_P(ObjectiveTest, DoesNotHideNaN) {
  const ObjectiveConfig config{.background = 30};
  const OracleInput in = make_input(16, 40, 6, 2, config, 0.0);
  Values features = in.features;
  features[3] = std::numeric_limits<double>::quiet_NaN();
  const Tensor v = testing::tensor(features, {2, 6}, device());
  const auto loss = [&] {
    return objective(v, in.indices, bank_of(in, device()), graph_of(in, device()), config, 0.6)
        .loss.item();
  };
  if (device() == kCpu) {
    EXPECT_THROW(loss(), Error);
  } else {
    EXPECT_TRUE(std::isnan(loss()));
  }
}

}  // namespace
}  // namespace invp
