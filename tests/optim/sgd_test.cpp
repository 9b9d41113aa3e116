#include "optim/sgd.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/core/parallel.h"
#include "tests/support/close.h"
#include "tests/support/devices.h"

namespace invp::testing {
namespace {

/// The rule, in double, for one parameter.
struct Oracle {
  Values weight, momentum;
  void step(const Values& gradient, double lr, double mu, double decay) {
    const bool first = momentum.empty();
    if (first) momentum.resize(weight.size());
    for (std::size_t i = 0; i < weight.size(); ++i) {
      const double g = gradient[i] + decay * weight[i];
      momentum[i] = first ? g : mu * momentum[i] + g;
      weight[i] -= lr * momentum[i];
    }
  }
};

class SgdTest : public DeviceTest {
 protected:
  static Tensor make(const Values& values, const Shape& shape) {
    return tensor(values, shape, device());
  }
  static Tensor make_leaf(const Values& values, const Shape& shape) {
    return leaf(values, shape, device());
  }
};
RUN_ON_EACH_DEVICE(SgdTest);

TEST_P(SgdTest, ByHand) {
  const Tensor w = make_leaf({1}, {1});
  Sgd sgd(
      {{.parameters = {{"w", w}}, .hyper = {.lr = 0.1, .momentum = 0.5, .weight_decay = 0.25}}});
  w.set_grad(make({2}, {1}));
  sgd.step();  // v = 2 + 0.25, w = 1 - 0.225
  EXPECT_FLOAT_EQ(w.item(), 0.775F);
  sgd.step();  // v = 0.5 * 2.25 + 2 + 0.25 * 0.775
  EXPECT_FLOAT_EQ(w.item(), 0.775F - 0.1F * (1.125F + 2.19375F));
}

TEST_P(SgdTest, FollowsTheRuleOverManyParametersAndGroups) {
  const std::vector<Shape> shapes = {{1}, {3, 5}, {0, 4}, {70001}, {2, 3, 3, 7}};
  std::vector<Oracle> oracles;
  std::vector<Tensor> weights;
  std::vector<Sgd::Group> groups(2);
  groups[0].hyper = {.lr = 0.1, .momentum = 0.9, .weight_decay = 1e-2};
  groups[1].hyper = {.lr = 0.01, .momentum = 0, .weight_decay = 0};
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    oracles.push_back({.weight = random_values(i, shapes[i].numel())});
    weights.push_back(make_leaf(oracles.back().weight, shapes[i]));
    groups[i % 2].parameters.push_back({message("p", i), weights.back()});
  }
  Sgd sgd(groups);
  for (std::uint64_t step = 0; step < 4; ++step) {
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      const Values gradient = random_values(100 * step + i, shapes[i].numel());
      weights[i].set_grad(make(gradient, shapes[i]));
      const SgdHyper& hyper = groups[i % 2].hyper;
      oracles[i].step(gradient, 0.5 * hyper.lr, hyper.momentum, hyper.weight_decay);
    }
    sgd.step(0.5);
  }
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    SCOPED_TRACE(i);
    expect_close(weights[i], oracles[i].weight, 16);
    EXPECT_TRUE(weights[i].grad().defined());
  }
}

TEST_P(SgdTest, LeavesGradientsAloneAndDoesNotDependOnThreads) {
  const auto run = [](int threads) {
    set_num_threads(threads);
    const Tensor w = make_leaf(random_values(1, 100000), {100000});
    const Values gradient = random_values(2, 100000);
    w.set_grad(make(gradient, {100000}));
    Sgd sgd({{.parameters = {{"w", w}}, .hyper = {}}});
    sgd.step();
    sgd.step();
    EXPECT_EQ(values_of(w.grad()), gradient);
    set_num_threads(0);
    return w;
  };
  expect_identical(run(1), run(3));
}

TEST_P(SgdTest, SkipsWhatHasNoGradient) {
  const Tensor used = make_leaf({1}, {1});
  const Tensor unused = make_leaf({1}, {1});
  Sgd sgd({{.parameters = {{"used", used}, {"unused", unused}}, .hyper = {.weight_decay = 1}}});
  used.set_grad(make({1}, {1}));
  sgd.step();
  EXPECT_EQ(unused.item(), 1);
  EXPECT_EQ(sgd.state().size(), 1u);
  sgd.zero_grad();
  EXPECT_FALSE(used.grad().defined());
}

TEST_P(SgdTest, StateCarriesOn) {
  const auto make_sgd = [](const Tensor& w) {
    return Sgd({{.parameters = {{"w", w}}, .hyper = {.lr = 0.1}}});
  };
  const Tensor a = make_leaf({1, 2}, {2});
  Sgd first = make_sgd(a);
  a.set_grad(make({3, 4}, {2}));
  first.step();
  const Tensor b = a.clone().set_requires_grad(true);
  Sgd second = make_sgd(b);
  second.load_state({{"w", first.state().at(0).tensor.to(kCpu)}}, "file");
  b.set_grad(make({3, 4}, {2}));
  first.step();
  second.step();
  expect_identical(a, b);
}

TEST(Sgd, RefusesStateThatDoesNotFit) {
  const Tensor w = leaf({1, 2}, {2});
  Sgd sgd({{.parameters = {{"w", w}}, .hyper = {}}});
  EXPECT_THROW(sgd.load_state({{"other", tensor({1, 2}, {2})}}, "file"), Error);
  EXPECT_THROW(sgd.load_state({{"w", tensor({1, 2, 3}, {3})}}, "file"), Error);
  EXPECT_THROW(
      sgd_step(std::vector<SgdItem>{{.weight = w, .gradient = tensor({1}, {1}), .momentum = w}},
               {}),
      Error);
}

}  // namespace
}  // namespace invp::testing
