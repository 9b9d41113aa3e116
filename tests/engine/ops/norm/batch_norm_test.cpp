#include "engine/ops/norm/batch_norm.h"

#include <gmock/gmock.h>

#include "engine/autograd/node.h"
#include "engine/core/parallel.h"
#include "tests/engine/ops/norm/batch_norm_oracle.h"
#include "tests/support/close.h"
#include "tests/support/devices.h"
#include "tests/support/gradient.h"

namespace invp::testing {
namespace {

using namespace batch_norm_oracle;
using ::testing::ThrowsMessage;

class BatchNormTest : public OpTest {};
RUN_ON_ALL_DEVICES(BatchNormTest);

const std::vector<Shape> kShapes = {{2, 1},           {3, 3},       {1, 2, 1, 4}, {2, 1, 1, 16},
                                    {5, 3, 7, 3},     {2, 5, 3, 1}, {7, 33},      {1, 9, 5, 19},
                                    {2, 4, 4, 64},    {130, 257},   {70, 2048},   {3, 40, 37, 32},
                                    {40, 11, 13, 16}, {1, 1, 3, 8}, {5, 24},      {1, 61, 67, 64},
                                    {37, 3, 5, 320}};
const std::vector<Fusion> kFusions = {Fusion::kNone, Fusion::kRelu, Fusion::kAddRelu};

TEST(BatchNorm, ByHand) {
  // Channel 0 holds 1 and 3 (mean 2, variance 1), channel 1 holds 4 twice (variance 0).
  const Tensor x = tensor({1, 4, 3, 4}, {2, 2});
  const Tensor mean = tensor({0, 0}, {2});
  const Tensor var = tensor({1, 1}, {2});
  const Tensor y =
      batch_norm(x, tensor({10, 10}, {2}), tensor({0.5, 7}, {2}), mean, var, {.eps = 1e-12F});
  EXPECT_THAT(values_of(y), ::testing::ElementsAre(-9.5, 7, 10.5, 7));
  EXPECT_THAT(mean.span<float>(), ::testing::ElementsAre(0.2F, 0.4F));
  EXPECT_THAT(var.span<float>(), ::testing::ElementsAre(1.1F, 0.9F));  // 0.9 + 0.1 * 2 and 0.9 + 0
}

TEST(BatchNorm, OracleGradient) {
  for (const bool training : {true, false}) {
    for (const Fusion fusion : kFusions) {
      const Problem p = make_problem({5, 2, 1, 3}, fusion, training);
      const Result r = reference(p);
      const auto loss = [&p](Values Problem::*which) {
        return [&p, which](const Values& at) {
          Problem moved = p;
          moved.*which = at;
          return inner(reference(moved).y, p.dy);
        };
      };
      expect_gradient(loss(&Problem::x), p.x, r.dx);
      expect_gradient(loss(&Problem::gamma), p.gamma, r.dgamma);
      expect_gradient(loss(&Problem::beta), p.beta, r.dbeta);
      if (fusion == Fusion::kAddRelu)
        expect_gradient(loss(&Problem::residual), p.residual, r.dresidual);
    }
  }
}

TEST_P(BatchNormTest, MatchesReference) {
  for (const Shape& shape : kShapes) {
    for (const Fusion fusion : kFusions) {
      for (const bool training : {true, false}) {
        SCOPED_TRACE(message(shape, " fusion ", static_cast<int>(fusion), " training ", training));
        const Problem p = make_problem(shape, fusion, training);
        const Result r = reference(p);
        const Inputs in(p, device());
        const std::int64_t rows = shape.numel() / shape[-1];
        const Tensor y = in.run(p, dtype());
        expect_close(y, r.y, rows);
        backward(y, constant(p.dy, shape));
        expect_close(in.x.grad(), r.dx, rows, dtype(), r.dx_terms);
        expect_close(in.gamma.grad(), r.dgamma, rows);
        expect_close(in.beta.grad(), r.dbeta, rows);
        if (fusion == Fusion::kAddRelu) expect_close(in.residual.grad(), r.dresidual, 1, dtype());

        Values mean = p.running_mean;
        Values var = p.running_var;
        const auto count = static_cast<double>(rows);
        for (std::size_t c = 0; training && c < mean.size(); ++c) {
          mean[c] = 0.9 * mean[c] + 0.1 * r.mean[c];
          var[c] = 0.9 * var[c] + 0.1 * r.var[c] * count / (count - 1);
        }
        expect_close(in.running_mean, mean, rows);
        expect_close(in.running_var, var, rows);
      }
    }
  }
}

// Just larger than the CPU's streaming threshold of 8 MiB, and than what a GPU's blocks take in one
// turn; once with rows that are no multiple of a cache line, once with an odd number of rows that
// are.
TEST_P(BatchNormTest, LargeTensorsMatchReference) {
  const std::int64_t scale = dtype() == DType::kF32 ? 1 : 2;
  for (const Shape& shape : {Shape{15 * scale, 31, 68, 67}, Shape{17, 31, 67 * scale, 64}}) {
    SCOPED_TRACE(message(shape));
    const Problem p = make_problem(shape, Fusion::kAddRelu, true);
    ASSERT_GT(static_cast<std::size_t>(shape.numel()) * size_of(dtype()), std::size_t{8} << 20);
    const Result r = reference(p);
    const Inputs in(p, device());
    const Tensor y = in.run(p, dtype());
    const auto rows = static_cast<std::int64_t>(p.rows());
    expect_close(y, r.y, rows);
    backward(y, constant(p.dy, p.shape));
    expect_close(in.x.grad(), r.dx, rows, dtype());
    expect_close(in.gamma.grad(), r.dgamma, rows);
    expect_close(in.residual.grad(), r.dresidual, 1, dtype());
  }
}

// A NaN among the inputs makes its channel NaN, the relu notwithstanding, and the gradient with it;
// the other channels stay as they are.
TEST_P(BatchNormTest, NaNStaysNaN) {
  for (const Shape& shape : kShapes) {
    for (const Fusion fusion : kFusions) {
      for (const bool training : {true, false}) {
        SCOPED_TRACE(message(shape, " fusion ", static_cast<int>(fusion), " training ", training));
        Problem p = make_problem(shape, fusion, training);
        p.x.back() = std::nan("");
        const Inputs in(p, device());
        const Tensor y = in.run(p, dtype());
        backward(y, constant(p.dy, shape));
        const auto channels = static_cast<std::size_t>(shape[-1]);
        const Values ys = values_of(y);
        const Values dx = values_of(in.x.grad());
        const Values dgamma = values_of(in.gamma.grad());
        for (std::size_t i = 0; i < ys.size(); ++i) {
          const bool last_channel = i % channels == channels - 1;
          const bool poisoned = training ? last_channel : i == ys.size() - 1;
          ASSERT_EQ(std::isnan(ys[i]), poisoned) << "y " << i;
          // In evaluation no gradient but that of the NaN itself may become NaN.
          if (training || i < ys.size() - 1) {
            ASSERT_EQ(std::isnan(dx[i]), poisoned) << "dx " << i;
          }
        }
        for (std::size_t c = 0; c < channels; ++c) {
          ASSERT_EQ(std::isnan(dgamma[c]), c == channels - 1) << "dgamma " << c;
        }
      }
    }
  }
}

// Tensors that begin in the middle of somewhere: no wide access is aligned.
TEST_P(BatchNormTest, TakesUnalignedTensors) {
  const Problem p = make_problem({6, 5, 3, 32}, Fusion::kAddRelu, true);
  const Result r = reference(p);
  const std::int64_t rows = p.shape.numel() / p.shape[-1];
  const auto unaligned = [](const Values& values, const Shape& shape, DType type) {
    Values shifted = values;
    shifted.insert(shifted.begin(), 0);
    const auto size = static_cast<std::int64_t>(shifted.size());
    return tensor(shifted, {size}, device(), type).slice(1, size).view(shape);
  };
  Inputs in(p, device());
  in.gamma = unaligned(p.gamma, {32}, DType::kF32).set_requires_grad(true);
  in.beta = unaligned(p.beta, {32}, DType::kF32).set_requires_grad(true);
  Tensor x = unaligned(p.x, p.shape, dtype());
  if (dtype() == DType::kF32) x.set_requires_grad(true);  // leaves are f32
  const Tensor y = batch_norm_add_relu(x, cast(in.residual, dtype()), in.gamma, in.beta,
                                       in.running_mean, in.running_var);
  expect_close(y, r.y, rows);
  backward(y, unaligned(p.dy, p.shape, dtype()));
  if (x.requires_grad()) expect_close(x.grad(), r.dx, rows);
  expect_close(in.residual.grad(), r.dresidual, 1, dtype());
  expect_close(in.gamma.grad(), r.dgamma, rows);
  expect_close(in.beta.grad(), r.dbeta, rows);
}

// Each gradient alone: the kernels skip what is not needed.
TEST_P(BatchNormTest, EachGradientAlone) {
  for (const bool training : {true, false}) {
    const Problem p = make_problem({6, 5, 2, 20}, Fusion::kAddRelu, training);
    const Result r = reference(p);
    const std::int64_t rows = p.shape.numel() / p.shape[-1];
    const std::vector<std::pair<Tensor Inputs::*, const Values*>> wanted = {
        {&Inputs::x, &r.dx},
        {&Inputs::residual, &r.dresidual},
        {&Inputs::gamma, &r.dgamma},
        {&Inputs::beta, &r.dbeta}};
    for (const auto& [which, gradient] : wanted) {
      Inputs in(p, device());
      for (const auto& [other, unused] : wanted) (in.*other).set_requires_grad(other == which);
      backward(in.run(p, dtype()), constant(p.dy, p.shape));
      expect_close((in.*which).grad(), *gradient, rows, dtype());
      for (const auto& [other, unused] : wanted)
        EXPECT_EQ((in.*other).grad().defined(), other == which);
    }
  }
}

TEST_P(BatchNormTest, EvaluationTakesAnEmptyBatch) {
  const Problem p = make_problem({0, 3, 3, 5}, Fusion::kRelu, false);
  const Inputs in(p, device());
  const Tensor y = in.run(p, dtype());
  EXPECT_EQ(y.shape(), p.shape);
  backward(y, constant({}, p.shape));
  expect_close(in.gamma.grad(), Values(5, 0.0));
}

// The mean of the batch is thousands of times its deviation, in bf16 hundreds of times: sums of
// squares in f32 would have nothing left.
TEST_P(BatchNormTest, LargeMeanSmallDeviation) {
  const bool wide = dtype() == DType::kF32;
  for (const Shape& shape : {Shape{16, 9, 9, 24}, Shape{16, 9, 9, 25}, Shape{33, 31, 33, 64}}) {
    SCOPED_TRACE(message(shape));
    Problem p = make_problem(shape, Fusion::kNone, true);
    Random random(8, Purpose::kSynthetic);
    for (double& value : p.x) {
      const auto drawn = static_cast<float>((wide ? 3000 : 500) + random.normal() * (wide ? 1 : 2));
      value = wide ? drawn : static_cast<float>(BFloat16(drawn));
    }
    // One image of zeros in front, so that the first rows are no hint of the mean, in every third
    // channel.
    const auto image = static_cast<std::size_t>(shape.numel() / shape[0]);
    for (std::size_t i = 0; i < image; ++i) {
      if (i % p.channels() % 3 == 0) p.x[i] = 0;
    }
    const Result r = reference(p);
    const Inputs in(p, device());
    const Values y = values_of(in.run(p, dtype()));
    // The mean itself is rounded to f32: 3000 eps(f32) / 2 of a deviation of 1.
    const double bound = wide ? 1e-3 : 0.04;
    for (std::size_t i = 0; i < y.size(); ++i) ASSERT_NEAR(y[i], r.y[i], bound) << i;
    const Values var = values_of(in.running_var);
    const auto rows = static_cast<double>(p.rows());
    for (std::size_t c = 0; c < p.channels(); ++c) {
      const double unbiased = r.var[c] * rows / (rows - 1);
      ASSERT_NEAR(var[c], 0.9 * p.running_var[c] + 0.1 * unbiased, 5e-5 * unbiased) << c;
    }
  }
}

// As ranks that share a batch will do it: each reduces its part, the numbers are merged here, and
// each goes on with the merged ones.
TEST_P(BatchNormTest, PartsOfABatchMergeBetweenTheKernels) {
  const Shape shape{9, 4, 3, 24};
  const Problem p = make_problem(shape, Fusion::kRelu, true);
  const Result r = reference(p);
  const auto rows = static_cast<std::int64_t>(p.rows());
  const Inputs in(p, device());
  const std::int64_t channels = shape[-1];
  const Tensor x = cast(in.x.detach(), dtype());
  const Tensor dy = constant(p.dy, shape);
  const std::vector<std::pair<std::int64_t, std::int64_t>> parts = {{0, 2}, {2, 9}};

  const auto f64 = [&](std::int64_t numbers) {
    return Tensor::zeros({numbers, channels}, DType::kF64, kCpu);
  };
  const Tensor moments = f64(3);
  const BatchNormMoments whole(moments.data<double>(), channels);
  for (const auto& [begin, end] : parts) {
    const Tensor part = f64(3).to(device());
    DISPATCH(device(), batch_norm_moments, x.slice(begin, end), part);
    const Tensor host = part.to(kCpu);
    const BatchNormMoments of_part(host.data<double>(), channels);
    for (std::int64_t c = 0; c < channels; ++c) {
      const double count = whole.count[c] + of_part.count[c];
      const double away = of_part.mean[c] - whole.mean[c];
      whole.squares[c] +=
          of_part.squares[c] + away * away * whole.count[c] * of_part.count[c] / count;
      whole.mean[c] += away * of_part.count[c] / count;
      whole.count[c] = count;
    }
  }
  const BatchNormScaling scaling{.mean = Tensor::empty_like(in.gamma),
                                 .inverse_std = Tensor::empty_like(in.gamma),
                                 .gamma = in.gamma.detach(),
                                 .beta = in.beta.detach()};
  DISPATCH(device(), batch_norm_finish, moments.to(device()), BatchNormParams(), scaling.mean,
           scaling.inverse_std, in.running_mean, in.running_var);
  const Inputs plain(p, device());
  plain.run(p, dtype());
  expect_close(in.running_mean, values_of(plain.running_mean), rows);
  expect_close(in.running_var, values_of(plain.running_var), rows);

  const Tensor total = f64(2);
  for (const auto& [begin, end] : parts) {
    const Tensor sums = f64(2).to(device());
    DISPATCH(device(), batch_norm_gradient_sums, p.fusion, x.slice(begin, end), scaling, Tensor(),
             dy.slice(begin, end), (BatchNormReduced{.sums = sums}));
    const Tensor host = sums.to(kCpu);
    for (std::int64_t i = 0; i < 2 * channels; ++i) {
      total.data<double>()[i] += host.data<double>()[i];
    }
  }
  const Tensor sums = total.to(device());
  const Tensor y = Tensor::empty_like(x);
  const Tensor dx = Tensor::empty_like(x);
  for (const auto& [begin, end] : parts) {
    DISPATCH(device(), batch_norm_forward, p.fusion, x.slice(begin, end), scaling, Tensor(),
             y.slice(begin, end));
    DISPATCH(device(), batch_norm_dx, p.fusion, x.slice(begin, end), scaling, Tensor(),
             dy.slice(begin, end), sums, static_cast<double>(rows), dx.slice(begin, end));
  }
  expect_close(y, r.y, rows);
  expect_close(dx, r.dx, rows, dtype(), r.dx_terms);
}

TEST_P(BatchNormTest, DoesNotDependOnThreads) {
  const Problem p = make_problem({9, 20, 21, 48}, Fusion::kAddRelu, true);
  std::vector<Inputs> runs;
  std::vector<Tensor> outputs;
  for (const int threads : {0, 1, 3}) {
    set_num_threads(threads);
    const Inputs& in = runs.emplace_back(p, device());
    outputs.push_back(in.run(p, dtype()));
    backward(outputs.back(), constant(p.dy, p.shape));
    expect_identical(outputs.back(), outputs[0]);
    expect_identical(in.x.grad(), runs[0].x.grad());
    expect_identical(in.gamma.grad(), runs[0].gamma.grad());
    expect_identical(in.running_var, runs[0].running_var);
  }
  set_num_threads(0);
}

TEST_P(BatchNormTest, NanStaysNan) {
  for (const Shape& shape : {Shape{4, 2}, Shape{3, 9, 5, 16}}) {
    for (const Fusion fusion : kFusions) {
      Problem p = make_problem(shape, fusion, true);
      p.x[2 * p.channels()] = std::nan("");
      const Values y = values_of(Inputs(p, device()).run(p, dtype()));
      for (std::size_t i = 0; i < y.size(); ++i)
        EXPECT_EQ(std::isnan(y[i]), i % p.channels() == 0) << i;
    }
  }
}

TEST(BatchNorm, RefusesWhatItCannotNormalise) {
  const Tensor three = Tensor::zeros({3});
  EXPECT_THAT(
      [&] {
        batch_norm(Tensor::zeros({1, 1, 1, 3}), three, three, three, three);
      },
      ThrowsMessage<Error>(
          "[batch_norm] training needs more than one value per channel, got x (1, 1, 1, 3)"));
  EXPECT_THAT(
      [&] {
        batch_norm(Tensor::zeros({0, 3}), three, three, three, three);
      },
      ThrowsMessage<Error>(
          "[batch_norm] training needs more than one value per channel, got x (0, 3)"));
  EXPECT_THAT(
      [&] {
        batch_norm_relu(Tensor::zeros({4, 4}), three, three, three, three);
      },
      ThrowsMessage<Error>(
          "[batch_norm_relu] gamma must be f32 of shape (4) for x (4, 4), got f32 (3)"));
  EXPECT_THAT(
      [&] {
        batch_norm(Tensor::zeros({4, 2, 3}), three, three, three, three);
      },
      ThrowsMessage<Error>("[batch_norm] needs x of (N,H,W,C) or (N,C), got (4, 2, 3)"));
  EXPECT_THAT(
      [&] {
        batch_norm_add_relu(Tensor::zeros({4, 3}), Tensor::zeros({2, 3}), three, three, three,
                            three);
      },
      ThrowsMessage<Error>(
          "[batch_norm_add_relu] the residual must be f32 of shape (4, 3), got f32 (2, 3)"));
}

}  // namespace
}  // namespace invp::testing
