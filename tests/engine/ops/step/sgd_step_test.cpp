#include "engine/ops/step/sgd_step.h"

#include <gmock/gmock.h>

#include <utility>

#include "engine/autograd/node.h"
#include "engine/core/parallel.h"
#include "engine/ops/basic/cast.h"
#include "tests/support/close.h"
#include "tests/support/devices.h"

namespace invp::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::ThrowsMessage;

class SgdStepTest : public DeviceTest {
 protected:
  /// A tensor of one dimension.
  static Tensor make(const Values& values) {
    return tensor(values, {std::ssize(values)}, device());
  }
  static Tensor make_copy(std::int64_t n) { return Tensor::empty({n}, DType::kBF16, device()); }
};
RUN_ON_EACH_DEVICE(SgdStepTest);

TEST_P(SgdStepTest, ByHand) {
  const SgdItem item{make({1, -2}), make({0.5, 0.25}), make({0, 4})};
  sgd_step(std::vector{item}, {.lr = 0.5, .momentum = 0.5, .weight_decay = 0.25});
  // g' = 0.5 + 0.25, 0.25 - 0.5; v = g', 2 + g'; w = 1 - 0.375, -2 - 0.875
  EXPECT_THAT(values_of(item.momentum), ElementsAre(0.75, 1.75));
  EXPECT_THAT(values_of(item.weight), ElementsAre(0.625, -2.875));
  EXPECT_THAT(values_of(item.gradient), ElementsAre(0.5, 0.25));
}

TEST_P(SgdStepTest, DoesNotReadMomentumThatCountsForNothing) {
  for (const bool first : {true, false}) {
    const SgdItem item{make({1}), make({2}), make({std::nan("")}), first};
    sgd_step(std::vector{item}, {.lr = 0.25, .momentum = first ? 0.9 : 0});
    EXPECT_THAT(values_of(item.momentum), ElementsAre(2));
    EXPECT_THAT(values_of(item.weight), ElementsAre(0.5));
  }
}

// A factor of the rate and a halt that lie in the device's memory.
TEST_P(SgdStepTest, TakesFactorAndHaltFromTheDevice) {
  const Tensor factor = make({0.5});
  const auto flag = [](std::int32_t value) {
    return Tensor::from(std::vector{value}, {1}, device());
  };
  const SgdItem item{make({1}), make({2}), make({4}), false};
  const SgdHyper hyper{.lr = 0.5, .momentum = 0.5};
  sgd_step(std::vector{item}, hyper, {.lr_factor = factor, .halted = flag(1)});
  EXPECT_THAT(values_of(item.weight), ElementsAre(1));
  EXPECT_THAT(values_of(item.momentum), ElementsAre(4));
  sgd_step(std::vector{item}, hyper, {.lr_factor = factor, .halted = flag(0)});
  EXPECT_THAT(values_of(item.momentum), ElementsAre(4));  // 0.5 * 4 + 2
  EXPECT_THAT(values_of(item.weight), ElementsAre(0));    // 1 - 0.25 * 4
  EXPECT_THROW(sgd_step(std::vector{item}, hyper, {.lr_factor = make({1, 2})}), Error);
  EXPECT_THROW(sgd_step(std::vector{item}, hyper, {.halted = factor}), Error);
}

/// What sgd_step must make of an item: weight and momentum.
std::pair<Values, Values> reference(const SgdItem& item, const SgdHyper& hyper) {
  Values w = values_of(item.weight);
  Values v = values_of(item.momentum);
  const Values g = values_of(item.gradient);
  for (std::size_t i = 0; i < w.size(); ++i) {
    v[i] = (item.first ? 0 : hyper.momentum * v[i]) + g[i] + hyper.weight_decay * w[i];
    w[i] -= hyper.lr * v[i];
  }
  return {w, v};
}

void expect_step(const std::vector<SgdItem>& items) {
  const SgdHyper hyper{.lr = 0.1, .momentum = 0.9, .weight_decay = 0.01};
  std::vector<std::pair<Values, Values>> expected;
  for (const SgdItem& item : items) expected.push_back(reference(item, hyper));
  sgd_step(items, hyper);
  for (std::size_t i = 0; i < items.size(); ++i) {
    SCOPED_TRACE(message("item ", i, " of ", items.size()));
    expect_close(items[i].weight, expected[i].first);
    expect_close(items[i].momentum, expected[i].second);
    if (!items[i].copy.defined()) continue;
    const NoGrad guard;
    expect_identical(items[i].copy, cast(items[i].weight, DType::kBF16));
  }
}

// More parameters than one launch takes, of sizes around the chunks they are dealt in.
TEST_P(SgdStepTest, ManyParametersMatchReference) {
  std::vector<SgdItem> items;
  for (int i = 0; i < 450; ++i) {
    const std::int64_t n = i == 7 ? 50'001 : i == 200 ? 8192 : i == 201 ? 0 : 1 + i * 37 % 130;
    items.push_back({make(random_values(1, n)), make(random_values(2, n)),
                     make(random_values(3, n)), i % 3 == 0});
    if (i % 2 == 1) items.back().copy = make_copy(n);
  }
  expect_step(items);
}

// Parameters may be parts of one large tensor, whose bounds fit no wide access.
TEST_P(SgdStepTest, SlicesMatchReference) {
  const std::int64_t n = 20'000;
  const SgdItem all{make(random_values(4, n)), make(random_values(5, n)), make(random_values(6, n)),
                    false, make_copy(n)};
  std::vector<SgdItem> parts;
  std::int64_t begin = 0;
  for (const std::int64_t end : {1, 4, 9, 21, 9000, 19'999}) {
    const auto part = [&](const Tensor& whole) { return whole.slice(begin, end); };
    parts.push_back(
        {part(all.weight), part(all.gradient), part(all.momentum), false, part(all.copy)});
    begin = end;
  }
  const Tensor last = all.weight.slice(begin, n).clone();
  expect_step(parts);
  expect_identical(all.weight.slice(begin, n), last);  // of no parameter
}

TEST_P(SgdStepTest, DoesNotDependOnThreads) {
  const auto run = [] {
    std::vector<SgdItem> items;
    for (const std::int64_t n : {1, 0, 7, 50'000, 33, 16'384}) {
      items.push_back({make(random_values(1, n)), make(random_values(2, n)),
                       make(random_values(3, n)), false, make_copy(n)});
    }
    sgd_step(items, {.weight_decay = 0.01});
    return items;
  };
  const std::vector<SgdItem> expected = run();
  for (const int threads : {1, 3}) {
    set_num_threads(threads);
    const std::vector<SgdItem> items = run();
    for (std::size_t i = 0; i < items.size(); ++i) {
      expect_identical(items[i].weight, expected[i].weight);
      expect_identical(items[i].momentum, expected[i].momentum);
      expect_identical(items[i].copy, expected[i].copy);
    }
  }
  set_num_threads(0);
}

TEST(SgdStep, RefusesTensorsThatDoNotMatch) {
  const Tensor two = Tensor::zeros({2});
  const auto step = [&](const Tensor& gradient) {
    sgd_step(std::vector{SgdItem{two, gradient, two}}, {});
  };
  EXPECT_THAT([&] { step(Tensor::zeros({3})); },
              ThrowsMessage<Error>("[sgd_step] weight, gradient and momentum must be f32 of one "
                                   "shape, got f32(2) and f32(3)"));
  EXPECT_THAT([&] { step(Tensor::zeros({2}, DType::kBF16)); },
              ThrowsMessage<Error>("[sgd_step] weight, gradient and momentum must be f32 of one "
                                   "shape, got f32(2) and bf16(2)"));
  EXPECT_THAT(
      [&] {
        sgd_step(std::vector{SgdItem{two, two, two, false, Tensor::zeros({2})}}, {});
      },
      ThrowsMessage<Error>("[sgd_step] the copy must be bf16 of the weight's shape and device, "
                           "got f32(2) on cpu for (2) on cpu"));
}

}  // namespace
}  // namespace invp::testing
