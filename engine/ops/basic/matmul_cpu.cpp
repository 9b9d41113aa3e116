// Matrix products by oneDNN's matmul.
#include <algorithm>
#include <vector>

#include "engine/core/onednn.h"
#include "engine/core/parallel.h"
#include "engine/ops/basic/elementwise.h"
#include "engine/ops/basic/matmul.h"

namespace invp::cpu {

namespace {

using dnnl::memory;

/// A matrix as oneDNN reads it: strides transpose it.
memory::desc describe(const Tensor& x, Transpose transpose) {
  const memory::data_type type = onednn::type_of(x.dtype());
  const memory::dim rows = x.dim(0);
  const memory::dim columns = x.dim(1);
  if (transpose == Transpose::kNo) return {{rows, columns}, type, memory::dims{columns, 1}};
  return {{columns, rows}, type, memory::dims{1, columns}};
}

/// Without an inner extent the product is the bias, or zero.
void fill_with_bias(const Tensor& bias, const Tensor& y) {
  y.zero();
  if (!bias.defined()) return;
  dispatch_floating(y.dtype(), "gemm", [&](auto tag) {
    using T = decltype(tag);
    for (std::int64_t i = 0; i < y.dim(0); ++i) {
      for (std::int64_t j = 0; j < y.dim(1); ++j)
        y.data<T>()[i * y.dim(1) + j] = T(bias.data<float>()[j]);
    }
  });
}

/// True if y = a^T b has so few rows to sum over that oneDNN's sgemm is faster than its matmul,
/// which copies both operands into blocks first. (2048 x 16 by 16 x 2048: 1.7 ms instead of 4.3.)
bool is_shallow(const Tensor& a, Transpose transpose_a, Transpose transpose_b, const Tensor& bias) {
  return a.dtype() == DType::kF32 && transpose_a == Transpose::kYes &&
         transpose_b == Transpose::kNo && !bias.defined() && a.dim(0) <= 32;
}

/// y = a^T b.
void shallow_gemm(const Tensor& a, const Tensor& b, const Tensor& y) {
  const std::int64_t M = y.dim(0);
  const std::int64_t N = y.dim(1);
  const dnnl::status status = dnnl::sgemm('T', 'N', M, N, a.dim(0), 1.0F, a.data<float>(), M,
                                          b.data<float>(), N, 0.0F, y.data<float>(), N);
  if (status != dnnl::status::success) throw dnnl::error(dnnl_runtime_error, "sgemm failed");
}

}  // namespace

void gemm(const Tensor& a, Transpose transpose_a, const Tensor& b, Transpose transpose_b,
          const Tensor& bias, const Tensor& y) {
  if (y.numel() == 0) return;
  if (a.numel() == 0) return fill_with_bias(bias, y);
  onednn::guarded(
      [&] {
        if (is_shallow(a, transpose_a, transpose_b, bias)) return shallow_gemm(a, b, y);
        const memory::desc a_desc = describe(a, transpose_a);
        const memory::desc b_desc = describe(b, transpose_b);
        const memory::desc y_desc = describe(y, Transpose::kNo);
        const memory::desc bias_desc =
            bias.defined()
                ? memory::desc({1, y.dim(1)}, memory::data_type::f32, memory::dims{y.dim(1), 1})
                : memory::desc();
        constexpr std::int64_t kGemm = 100;  // apart from the convolution's passes
        const onednn::Key key = {kGemm,
                                 a.dim(0),
                                 a.dim(1),
                                 y.dim(0),
                                 y.dim(1),
                                 transpose_a == Transpose::kYes ? 1 : 0,
                                 transpose_b == Transpose::kYes ? 1 : 0,
                                 static_cast<std::int64_t>(a.dtype()),
                                 bias.defined() ? 1 : 0,
                                 num_threads()};
        const auto product = onednn::cached(key, [&] {
          dnnl::primitive_attr attr;
          attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
          const dnnl::matmul::primitive_desc desc(onednn::engine(), a_desc, b_desc, bias_desc,
                                                  y_desc, attr);
          return onednn::Primitive{.run = dnnl::matmul(desc),
                                   .scratchpad = desc.scratchpad_desc(),
                                   .implementation = desc.impl_info_str()};
        });
        std::unordered_map<int, memory> arguments = {{DNNL_ARG_SRC, onednn::memory(a, a_desc)},
                                                     {DNNL_ARG_WEIGHTS, onednn::memory(b, b_desc)},
                                                     {DNNL_ARG_DST, onednn::memory(y, y_desc)}};
        if (bias.defined()) arguments[DNNL_ARG_BIAS] = onednn::memory(bias, bias_desc);
        const Tensor scratch = onednn::scratch(product->scratchpad);
        if (scratch.defined())
          arguments[DNNL_ARG_SCRATCHPAD] = onednn::memory(scratch, product->scratchpad);
        product->run.execute(onednn::stream(), arguments);
      },
      "[matmul] ", a.shape(), " and ", b.shape());
}

void gemm_relu(const Tensor& a, Transpose transpose_a, const Tensor& b, Transpose transpose_b,
               const Tensor& bias, const Tensor& y) {
  gemm(a, transpose_a, b, transpose_b, bias, y);
  relu_forward(y, y);  // oneDNN could do it while it writes y, but makes NaN 0
}

void column_sums(const Tensor& x, const Tensor& y) {
  const std::int64_t rows = x.dim(0);
  const std::int64_t columns = x.dim(1);
  dispatch_floating(x.dtype(), "column_sums", [&](auto tag) {
    using T = decltype(tag);
    const T* in = x.data<T>();
    float* out = y.data<float>();
    constexpr std::int64_t kGrain = 256;
    parallel_for(0, columns, kGrain, [=](std::int64_t begin, std::int64_t end) {
      std::vector<double> sums(static_cast<std::size_t>(end - begin), 0.0);
      for (std::int64_t i = 0; i < rows; ++i) {
        for (std::int64_t j = begin; j < end; ++j) {
          sums[static_cast<std::size_t>(j - begin)] += static_cast<float>(in[i * columns + j]);
        }
      }
      std::ranges::transform(sums, out + begin, [](double sum) { return static_cast<float>(sum); });
    });
  });
}

}  // namespace invp::cpu
