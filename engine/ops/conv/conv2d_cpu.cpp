// Which algorithm convolves. Winograd's does a quarter of the multiplications, so it is taken
// wherever it applies. Else oneDNN's direct kernels are the best, except for the shapes below,
// where they run at half their rate or less. Times: CPU time of one core at 2.8 GHz with AVX-512,
// on a machine that also did other work; only their ratios mean something.
#include <cstring>

#include "engine/ops/basic/matmul.h"
#include "engine/ops/conv/conv2d.h"
#include "engine/ops/conv/conv2d_direct_cpu.h"
#include "engine/ops/conv/conv2d_matmul_cpu.h"
#include "engine/ops/conv/conv2d_winograd_cpu.h"

namespace invp::cpu {

namespace {

/// True for filters of one pixel that read every pixel: the images are then a matrix as they lie.
bool is_matrix_product(const Conv2dShape& s, DType dtype) {
  const auto [stride, padding, dilation, groups] = s.params;
  return dtype == DType::kF32 && s.R == 1 && s.S == 1 && stride == 1 && padding == 0 && groups == 1;
}

/// Images or outputs as a matrix of one row per pixel; filters of one pixel as (K, C).
Tensor as_matrix(const Tensor& x, std::int64_t channels) {
  return x.view({x.numel() / channels, channels});
}

/// Maps of 7 x 7, 512 to 2048 channels: 15 ms instead of 17 forward, 17 instead of 20 backward.
bool gemm_is_faster(const Conv2dShape& s, DType dtype) {
  return is_matrix_product(s, dtype) && s.H * s.W <= 64;
}

/// Maps of 4 x 4: 256 to 512 channels, 3x3 of stride 2, take 44 ms instead of 69. Not between few
/// channels.
bool matmul_forward_is_faster(const Conv2dShape& s, DType dtype) {
  return matmul_applies(s, dtype) && s.params.stride > 1 && s.P * s.Q <= 16 &&
         (s.K >= 256 || s.R * s.S == 1);
}

/// 256 to 512 channels of 8 x 8, 3x3 of stride 2: 40 ms instead of 71; 1x1 of stride 2: 6.7 ms
/// instead of 12.4.
bool matmul_backward_input_is_faster(const Conv2dShape& s, DType dtype) {
  return matmul_applies(s, dtype) && s.params.stride > 1 && s.K >= 256;
}

/// 3x3 of stride 2: 31 ms instead of 67 (128 channels of 56 x 56), 49 instead of 81 (512 of 14 x
/// 14); 1x1 of stride 2: 36 ms instead of 55 (1024 to 2048 channels of 14 x 14).
bool matmul_backward_weight_is_faster(const Conv2dShape& s, DType dtype) {
  return matmul_applies(s, dtype) && s.params.stride > 1 && s.C >= (s.R * s.S == 1 ? 128 : 32);
}

/// oneDNN 3.2 writes past its scratch memory in the weight gradient of 1x1 filters with a stride,
/// for channels that are no multiple of 16 (seen with odd batches).
bool direct_backward_weight_is_unsafe(const Conv2dShape& s) {
  return s.R == 1 && s.S == 1 && s.params.groups == 1 && (s.C % 16 != 0 || s.K % 16 != 0);
}

/// The pixels that 1x1 filters read, one per row: (N P Q, C). Those outside the images are zero.
Tensor seen_pixels(const Conv2dShape& s, const Tensor& x) {
  const MemoryScope scope(MemoryUse::kWorkspace);
  const Tensor rows = Tensor::zeros({s.N * s.P * s.Q, s.C}, x.dtype());
  const std::size_t pixel = static_cast<std::size_t>(s.C) * size_of(x.dtype());
  const auto* in = static_cast<const std::byte*>(x.raw());
  auto* out = static_cast<std::byte*>(rows.raw());
  for (std::int64_t n = 0; n < s.N; ++n) {
    for (std::int64_t p = 0; p < s.P; ++p) {
      for (std::int64_t q = 0; q < s.Q; ++q, out += pixel) {
        const std::int64_t h = p * s.params.stride - s.params.padding;
        const std::int64_t w = q * s.params.stride - s.params.padding;
        if (h < 0 || h >= s.H || w < 0 || w >= s.W) continue;
        std::memcpy(out, in + static_cast<std::size_t>((n * s.H + h) * s.W + w) * pixel, pixel);
      }
    }
  }
  return rows;
}

/// Between 16 and 16 channels the transform costs more than it saves: 6.5 ms instead of 4.7 (32 x
/// 32).
bool winograd_backward_weight_is_faster(const Conv2dShape& s, DType dtype) {
  return winograd_applies(s, dtype) && s.C * s.K > 16 * 16;
}

}  // namespace

void conv2d_forward(const Conv2dShape& s, const Tensor& x, const Tensor& w, const Tensor& b,
                    const Tensor& y, Conv2dFusion fusion) {
  if (y.numel() == 0) return;
  if (winograd_applies(s, x.dtype())) return winograd_forward(s, x, w, b, y, fusion);
  if (matmul_forward_is_faster(s, x.dtype())) return matmul_forward(s, x, w, b, y, fusion);
  if (gemm_is_faster(s, x.dtype()) && !fusion.add && !fusion.relu) {
    return gemm(as_matrix(x, s.C), Transpose::kNo, as_matrix(w, s.C), Transpose::kYes, b,
                as_matrix(y, s.K));
  }
  direct_forward(s, x, w, b, y, fusion);
}

void conv2d_backward_input(const Conv2dShape& s, const Tensor& dy, const Tensor& w,
                           const Tensor& dx) {
  if (dx.numel() == 0) return;
  if (winograd_applies(s, dy.dtype())) return winograd_backward_input(s, dy, w, dx);
  if (matmul_backward_input_is_faster(s, dy.dtype())) return matmul_backward_input(s, dy, w, dx);
  if (gemm_is_faster(s, dy.dtype())) {
    return gemm(as_matrix(dy, s.K), Transpose::kNo, as_matrix(w, s.C), Transpose::kNo, {},
                as_matrix(dx, s.C));
  }
  direct_backward_input(s, dy, w, dx);
}

void conv2d_backward_weight(const Conv2dShape& s, const Tensor& dy, const Tensor& x,
                            const Tensor& dw, const Tensor& db) {
  if (x.numel() == 0 || dy.numel() == 0) {
    dw.zero();
    if (db.defined()) db.zero();
    return;
  }
  if (is_matrix_product(s, x.dtype())) {
    gemm(as_matrix(dy, s.K), Transpose::kYes, as_matrix(x, s.C), Transpose::kNo, {},
         as_matrix(dw, s.C));
  } else if (winograd_backward_weight_is_faster(s, x.dtype())) {
    winograd_backward_weight(s, dy, x, dw);
  } else if (matmul_backward_weight_is_faster(s, x.dtype())) {
    matmul_backward_weight(s, dy, x, dw);
  } else if (direct_backward_weight_is_unsafe(s)) {
    gemm(as_matrix(dy, s.K), Transpose::kYes, seen_pixels(s, x), Transpose::kNo, {},
         as_matrix(dw, s.C));
  } else {
    return direct_backward_weight(s, dy, x, dw, db);
  }
  if (db.defined()) column_sums(as_matrix(dy, s.K), db);
}

}  // namespace invp::cpu
