// Tensor cores and asynchronous copies as the emulator plays them: which lane holds what, what is
// rounded away, and that a copy is seen when it was waited for and not before.
#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <vector>

#include "engine/core/cuda_context.h"
#include "engine/core/cuda_mma.cuh"

namespace invp::cuda {
namespace {

using ::testing::Each;

const Context& gpu() {
  return context({DeviceType::kCuda, 0});
}

/// c (16, 8) = a (16, 8) b (8, 8), with the lanes that PTX documents.
__global__ void multiply(const float* a, const float* b, float* c) {
  const auto lane = threadIdx.x;
  const unsigned group = lane / 4;
  const unsigned member = lane % 4;
  unsigned own_a[4];
  unsigned own_b[2];
  float own_c[4] = {};
  for (unsigned i = 0; i < 4; ++i) {
    own_a[i] = round_to_tf32(a[(group + i % 2 * 8) * 8 + member + i / 2 * 4]);
  }
  for (unsigned i = 0; i < 2; ++i) own_b[i] = round_to_tf32(b[(member + i * 4) * 8 + group]);
  multiply_add_tf32(own_c, own_a, own_b);
  for (unsigned i = 0; i < 4; ++i) c[(group + i / 2 * 8) * 8 + member * 2 + i % 2] = own_c[i];
}

std::vector<float> multiply(const std::vector<float>& a, const std::vector<float>& b) {
  std::vector<float> c(128);
  launch(gpu(), {.blocks = {1}, .threads = {32}}, multiply, a.data(), b.data(), c.data());
  return c;
}

TEST(TensorCores, MultiplySmallMatrices) {
  std::vector<float> a(128);
  std::vector<float> b(64);
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = static_cast<float>(i * 37 % 101);
  for (std::size_t i = 0; i < b.size(); ++i) b[i] = static_cast<float>(i * 53 % 89);
  const std::vector<float> c = multiply(a, b);
  for (std::size_t i = 0; i < 16; ++i) {
    for (std::size_t j = 0; j < 8; ++j) {
      float sum = 0;
      for (std::size_t k = 0; k < 8; ++k) sum += a[i * 8 + k] * b[k * 8 + j];
      EXPECT_EQ(c[i * 8 + j], sum) << i << ' ' << j;
    }
  }
}

TEST(TensorCores, SeeTenBitsAfterThePoint) {
  const auto seen = [](float value) {
    std::vector<float> a(128);
    std::vector<float> b(64);
    a[0] = value;
    b[0] = 1;
    return multiply(a, b)[0];
  };
  const float ulp = std::ldexp(1.0F, -10);
  EXPECT_EQ(seen(1 + ulp), 1 + ulp);
  EXPECT_EQ(seen(1 + 0.49F * ulp), 1);
  EXPECT_EQ(seen(1 + 0.5F * ulp), 1 + ulp);  // away from zero
  EXPECT_EQ(seen(-1 - 0.5F * ulp), -1 - ulp);
  EXPECT_EQ(seen(2 - ulp / 4), 2);
  EXPECT_EQ(seen(std::numeric_limits<float>::infinity()), std::numeric_limits<float>::infinity());
}

using Four = Pack<float, 4>;

struct Seen {
  Four spoilt, first, second, zeros;
};

__global__ void copy_twice(const Four* from, Seen* to) {
  __shared__ Four room[3][32];
  const auto t = threadIdx.x;
  room[0][t] = {5, 5, 5, 5};
  copy_async(&room[0][t], from + t, true);
  commit_copies();
  copy_async(&room[1][t], from + 32 + t, true);
  copy_async(&room[2][t], from, false);
  commit_copies();
  to[t].spoilt = room[0][t];
  wait_for_copies<1>();
  to[t].first = room[0][t];
  to[t].second = room[1][t];
  wait_for_copies<0>();
  to[t].zeros = room[2][t];
}

TEST(AsynchronousCopies, AreThereOnceTheyWereWaitedFor) {
  std::vector<Four> from(64);
  for (std::size_t i = 0; i < from.size(); ++i) from[i].lane[0] = static_cast<float>(i);
  std::vector<Seen> seen(32);
  for (int run = 0; run < 2; ++run) {
    launch(gpu(), {.blocks = {1}, .threads = {32}}, copy_twice, from.data(), seen.data());
  }
  for (std::size_t t = 0; t < seen.size(); ++t) {
    EXPECT_THAT(seen[t].spoilt.lane, Each(::testing::IsNan()));
    EXPECT_EQ(seen[t].first.lane[0], static_cast<float>(t));
    EXPECT_THAT(seen[t].second.lane, Each(::testing::IsNan()));
    EXPECT_THAT(seen[t].zeros.lane, Each(0.0F));
  }
}

}  // namespace
}  // namespace invp::cuda
