#include "engine/ops/sgd_step.h"

#include <gmock/gmock.h>

#include "engine/core/parallel.h"
#include "tests/support/close.h"
#include "tests/support/devices.h"

namespace invp::testing {
namespace {

using ::testing::ThrowsMessage;

TEST(SgdStep, ByHand) {
  const SgdSlot slot{tensor({1, -2}, {2}), tensor({0.5, 0.25}, {2}), tensor({0, 4}, {2})};
  sgd_step(std::vector{slot}, {.lr = 0.5F, .momentum = 0.5F, .weight_decay = 0.25F});
  // d = 0.5 + 0.25, 0.25 - 0.5; v = d, 2 + d; w = 1 - 0.375, -2 - 0.875
  EXPECT_THAT(values_of(slot.v), ::testing::ElementsAre(0.75, 1.75));
  EXPECT_THAT(values_of(slot.w), ::testing::ElementsAre(0.625, -2.875));
  EXPECT_THAT(values_of(slot.g), ::testing::ElementsAre(0.5, 0.25));
}

TEST(SgdStep, ManyTensorsOverSeveralStepsMatchReference) {
  const SgdParams params{.lr = 0.1F, .momentum = 0.9F, .weight_decay = 0.01F};
  for (const Device device : available_devices()) {
    for (const int threads : {0, 1, 3}) {
      set_num_threads(threads);
      std::vector<SgdSlot> slots;
      std::vector<Values> weights, momenta, gradients;
      for (const std::int64_t n : {1, 0, 7, 50'000, 33, 16'384}) {
        weights.push_back(random_values(1, n));
        gradients.push_back(random_values(2, n));
        momenta.push_back(Values(static_cast<std::size_t>(n)));
        slots.push_back({tensor(weights.back(), {n}, device), tensor(gradients.back(), {n}, device),
                         Tensor::zeros({n}, DType::kF32, device)});
      }
      for (int step = 0; step < 3; ++step) {
        sgd_step(slots, params);
        for (std::size_t k = 0; k < slots.size(); ++k) {
          for (std::size_t i = 0; i < weights[k].size(); ++i) {
            const double d =
                gradients[k][i] + static_cast<double>(params.weight_decay) * weights[k][i];
            momenta[k][i] = static_cast<double>(params.momentum) * momenta[k][i] + d;
            weights[k][i] -= static_cast<double>(params.lr) * momenta[k][i];
          }
          expect_close(slots[k].v, momenta[k], 3 * (step + 1));
          expect_close(slots[k].w, weights[k], 3 * (step + 1));
          expect_close(slots[k].g, gradients[k]);
        }
      }
    }
  }
  set_num_threads(0);
}

TEST(SgdStep, RefusesListsThatDoNotMatch) {
  const Tensor two = Tensor::zeros({2});
  EXPECT_THAT(
      [&] {
        sgd_step(std::vector{SgdSlot{two, Tensor::zeros({3}), two}}, {});
      },
      ThrowsMessage<Error>(
          "[sgd_step] weights of (2) need gradients and momenta alike, got (3) and (2)"));
  EXPECT_THAT(
      [&] {
        sgd_step(std::vector{SgdSlot{two, Tensor::zeros({2}, DType::kBF16), two}}, {});
      },
      ThrowsMessage<Error>(
          "[sgd_step] needs f32 throughout, got weights f32, gradients bf16, momenta f32"));
}

}  // namespace
}  // namespace invp::testing
