#include "engine/ops/sgd_step.h"

#include <gmock/gmock.h>

#include "engine/core/parallel.h"
#include "tests/support/close.h"
#include "tests/support/devices.h"

namespace invp::testing {
namespace {

using ::testing::ThrowsMessage;

TEST(SgdStep, ByHand) {
  const SgdItem item{tensor({1, -2}, {2}), tensor({0.5, 0.25}, {2}), tensor({0, 4}, {2})};
  sgd_step(std::vector{item}, {.lr = 0.5, .momentum = 0.5, .weight_decay = 0.25});
  // g' = 0.5 + 0.25, 0.25 - 0.5; v = g', 2 + g'; w = 1 - 0.375, -2 - 0.875
  EXPECT_THAT(values_of(item.momentum), ::testing::ElementsAre(0.75, 1.75));
  EXPECT_THAT(values_of(item.weight), ::testing::ElementsAre(0.625, -2.875));
  EXPECT_THAT(values_of(item.gradient), ::testing::ElementsAre(0.5, 0.25));
}

TEST(SgdStep, TheFirstStepDoesNotReadTheMomentum) {
  const SgdItem item{tensor({1}, {1}), tensor({2}, {1}), tensor({std::nan("")}, {1}), true};
  sgd_step(std::vector{item}, {.lr = 0.25, .momentum = 0.9});
  EXPECT_THAT(values_of(item.momentum), ::testing::ElementsAre(2));
  EXPECT_THAT(values_of(item.weight), ::testing::ElementsAre(0.5));
}

std::vector<SgdItem> make_items(Device device) {
  std::vector<SgdItem> items;
  for (const std::int64_t n : {1, 0, 7, 50'000, 33, 16'384}) {
    items.push_back({tensor(random_values(1, n), {n}, device),
                     tensor(random_values(2, n), {n}, device),
                     tensor(random_values(3, n), {n}, device)});
  }
  return items;
}

TEST(SgdStep, DoesNotDependOnThreads) {
  for (const Device device : available_devices()) {
    const std::vector<SgdItem> expected = make_items(device);
    sgd_step(expected, {.weight_decay = 0.01});
    for (const int threads : {1, 3}) {
      set_num_threads(threads);
      const std::vector<SgdItem> items = make_items(device);
      sgd_step(items, {.weight_decay = 0.01});
      for (std::size_t i = 0; i < items.size(); ++i) {
        expect_identical(items[i].weight, expected[i].weight);
        expect_identical(items[i].momentum, expected[i].momentum);
      }
    }
    set_num_threads(0);
  }
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
}

}  // namespace
}  // namespace invp::testing
