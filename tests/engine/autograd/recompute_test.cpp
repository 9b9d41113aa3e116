// What is computed again in the backward pass has the same bits, happens once where it must, and is
// not kept.
#include "engine/autograd/recompute.h"

#include <gtest/gtest.h>

#include "engine/ops/basic/elementwise.h"
#include "engine/ops/conv/conv2d.h"
#include "engine/ops/norm/batch_norm.h"
#include "tests/support/close.h"
#include "tests/support/devices.h"

namespace invp::testing {
namespace {

constexpr std::int64_t kChannels = 8;
const Shape kImages{2, 6, 6, kChannels};

/// Convolution, norm, relu, convolution, norm, add, relu: a residual block.
struct Block {
  explicit Block(Device device, std::uint64_t seed = 0) {
    const auto parameter = [&](const Shape& shape) {
      leaves.push_back(leaf(random_values(++seed, shape.numel()), shape, device));
      return leaves.back();
    };
    for (int i = 0; i < 2; ++i) {
      filters[i] = parameter({kChannels, 3, 3, kChannels});
      gamma[i] = parameter({kChannels});
      beta[i] = parameter({kChannels});
      mean[i] = Tensor::zeros({kChannels}, DType::kF32, device);
      var[i] = Tensor::full({kChannels}, 1, device);
    }
  }

  Tensor operator()(const Tensor& x) const {
    const auto convolve = [&](const Tensor& in, int i) {
      return conv2d(in, cast(filters[i], x.dtype()), {}, {.padding = 1});
    };
    const Tensor inner = batch_norm_relu(convolve(x, 0), gamma[0], beta[0], mean[0], var[0]);
    return batch_norm_add_relu(convolve(inner, 1), x, gamma[1], beta[1], mean[1], var[1]);
  }

  /// Gradients, then running statistics.
  std::vector<Tensor> results() const {
    std::vector<Tensor> all;
    for (const Tensor& parameter : leaves) all.push_back(parameter.grad());
    for (int i = 0; i < 2; ++i) all.insert(all.end(), {mean[i], var[i]});
    return all;
  }

  std::vector<Tensor> leaves;
  Tensor filters[2], gamma[2], beta[2], mean[2], var[2];
};

class RecomputeTest : public OpTest {
 protected:
  struct Outcome {
    std::vector<Tensor> results;  ///< output, gradient of the input, what the blocks were left with
    std::int64_t saved = 0;       ///< bytes live between the passes, beyond those before
  };

  using Network = std::function<Tensor(const Block& first, const Block& second, const Tensor& x)>;

  static Outcome train(const Network& network) {
    const Block first(device(), 1);
    const Block second(device(), 100);
    const Tensor start = make_leaf(random_values(7, kImages.numel()), kImages);
    const Tensor seed = constant(random_values(8, kImages.numel()), kImages);
    const Tensor untouched = seed.clone();
    const Tensor x = input(start);
    Outcome outcome;
    const std::int64_t before = memory_stats(device()).live;
    Tensor y = network(first, second, x);
    outcome.saved = memory_stats(device()).live - before;
    outcome.results.push_back(y.clone());
    backward(std::move(y), seed);
    expect_identical(seed, untouched);
    outcome.results.push_back(start.grad());
    for (const Block* block : {&first, &second}) {
      for (const Tensor& result : block->results()) outcome.results.push_back(result);
    }
    return outcome;
  }

  static void expect_same(const Outcome& outcome, const Outcome& plain) {
    ASSERT_EQ(outcome.results.size(), plain.results.size());
    for (std::size_t i = 0; i < plain.results.size(); ++i) {
      SCOPED_TRACE(i);
      expect_identical(outcome.results[i], plain.results[i]);
    }
  }

  static Tensor plain(const Block& first, const Block& second, const Tensor& x) {
    return second(first(x));
  }

  static std::int64_t image_bytes() {
    return kImages.numel() * static_cast<std::int64_t>(size_of(dtype()));
  }
};
RUN_ON_ALL_DEVICES(RecomputeTest);

TEST_P(RecomputeTest, BodiesRunAgainToTheBit) {
  const Outcome want = train(plain);
  const Outcome outcome = train([](const Block& first, const Block& second, const Tensor& x) {
    return recomputed(second, recomputed(first, x));
  });
  expect_same(outcome, want);
  // Kept are what lies between the blocks and what the norms measured, but none of the six tensors
  // in either block. (The rounded filters of bf16 live with the graph of either.)
  EXPECT_LT(outcome.saved, 2 * image_bytes() + 2048);
  EXPECT_GT(want.saved, 8 * image_bytes());
}

TEST_P(RecomputeTest, BodiesNest) {
  const Outcome want = train(plain);
  const Outcome outcome = train([](const Block& first, const Block& second, const Tensor& x) {
    const auto inner = [&second](const Tensor& in) { return recomputed(second, in); };
    const auto outer = [&first, inner](const Tensor& in) { return inner(recomputed(first, in)); };
    return recomputed(outer, x);
  });
  expect_same(outcome, want);
  EXPECT_LT(outcome.saved, image_bytes() + 2048);
}

// As a plain graph would: gradients of a second backward pass are added.
TEST_P(RecomputeTest, ParametersAddUpTheirGradients) {
  const auto twice = [](bool again) {
    const Block block(device(), 1);
    for (std::uint64_t seed = 20; seed < 22; ++seed) {
      const Tensor start = make_leaf(random_values(seed, kImages.numel()), kImages);
      backward(again ? recomputed(block, input(start)) : block(input(start)),
               constant(random_values(seed + 5, kImages.numel()), kImages));
    }
    return block.results();
  };
  const std::vector<Tensor> want = twice(false);
  const std::vector<Tensor> results = twice(true);
  for (std::size_t i = 0; i < want.size(); ++i) expect_identical(results[i], want[i]);
}

TEST_P(RecomputeTest, WithoutAGradientTheBodyJustRuns) {
  const Block block(device(), 1);
  const Tensor x = constant(random_values(7, kImages.numel()), kImages);
  int runs = 0;
  const auto counting = [&](const Tensor& in) {
    once([&] {
      ++runs;
      return std::vector<Tensor>();
    });
    return block(in);
  };
  {
    const NoGrad no_grad;
    EXPECT_EQ(recomputed(counting, x).node(), nullptr);
  }
  // x needs no gradient, but the parameters do.
  const Tensor y = recomputed(counting, x);
  EXPECT_STREQ(y.node()->name, "batch_norm_add_relu");
  backward(y, x);
  EXPECT_TRUE(block.filters[0].grad().defined());
  EXPECT_EQ(runs, 2);
}

TEST_P(RecomputeTest, OnceIsOnce) {
  int runs = 0;
  int answers = 0;
  const auto body = [&](const Tensor& in) {
    ++runs;
    const std::vector<Tensor> kept = once([&] {
      ++answers;
      return std::vector<Tensor>{Tensor::full({1}, static_cast<float>(answers), device())};
    });
    EXPECT_EQ(kept.at(0).item(), 1);
    return add(in, in);
  };
  const Tensor x = make_leaf({1, 2}, {2});
  backward(recomputed(body, x), tensor({1, 10}, {2}, device()));
  EXPECT_EQ(values_of(x.grad()), (Values{2, 20}));
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(answers, 1);
}

TEST_P(RecomputeTest, ABodyThatThrowsLeavesNothingBehind) {
  const Tensor x = make_leaf({1, 2}, {2});
  const auto broken = [](const Tensor&) -> Tensor { fail("broken"); };
  EXPECT_THROW(recomputed(broken, x), Error);
  EXPECT_TRUE(grad_enabled());
  int answers = 0;
  for (int i = 0; i < 2; ++i) {
    once([&] {
      ++answers;
      return std::vector<Tensor>();
    });
  }
  EXPECT_EQ(answers, 2);
}

// The norm's input is kept by its caller, the gradient by its own: neither may be overwritten.
TEST_P(RecomputeTest, GradientsTakeOverOnlyMemoryThatNobodyHolds) {
  const Block block(device(), 1);
  const Tensor x = input(make_leaf(random_values(3, kImages.numel()), kImages));
  const Tensor residual = input(make_leaf(random_values(4, kImages.numel()), kImages));
  const Tensor dy = constant(random_values(5, kImages.numel()), kImages);
  const std::vector<Tensor> before{x.clone(), residual.clone(), dy.clone()};
  const Tensor y =
      batch_norm_add_relu(x, residual, block.gamma[0], block.beta[0], block.mean[0], block.var[0]);
  const Tensor y_before = y.clone();
  backward(y, dy);
  expect_identical(x, before[0]);
  expect_identical(residual, before[1]);
  expect_identical(dy, before[2]);
  expect_identical(y, y_before);
}

// A chain of norms whose tensors nothing else shares: the backward pass finds room for its
// gradients in what it uses up.
TEST_P(RecomputeTest, GradientsNeedNoMemoryOfTheirOwn) {
  const Block block(device(), 1);
  const Shape shape{4, 16, 16, kChannels};
  const auto bytes = shape.numel() * static_cast<std::int64_t>(size_of(dtype()));
  const auto norm = [&](const Tensor& x, const Tensor& residual) {
    return residual.defined()
               ? batch_norm_add_relu(x, residual, block.gamma[1], block.beta[1], block.mean[1],
                                     block.var[1])
               : batch_norm_relu(x, block.gamma[0], block.beta[0], block.mean[0], block.var[0]);
  };
  for (const bool adds : {false, true}) {
    Tensor received[2];
    const auto source = [&](int i) {
      return graph_input(constant(random_values(7, shape.numel()), shape),
                         [&received, i](Tensor dy) { received[i] = std::move(dy); });
    };
    const Tensor residual = adds ? source(1) : Tensor();
    Tensor y = norm(norm(source(0), {}), residual);
    Tensor dy = constant(random_values(8, shape.numel()), shape);
    const std::int64_t before = memory_stats(device()).live;
    reset_peak_memory(device());
    backward(std::move(y), std::move(dy));
    EXPECT_LT(memory_stats(device()).peak - before, bytes / 2);
    EXPECT_EQ(received[0].shape(), shape);
    EXPECT_EQ(received[1].defined(), adds);
  }
}

}  // namespace
}  // namespace invp::testing
