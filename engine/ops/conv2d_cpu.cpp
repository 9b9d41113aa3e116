// Which algorithm convolves: Winograd's wherever it applies, as it does a quarter of the
// multiplications, oneDNN elsewhere. The one exception is the filters' gradient between 16 and 16
// channels, where transforming costs more than is saved (6.5 ms against 4.7 at 32 x 32, batch 128).
#include "engine/ops/conv2d.h"
#include "engine/ops/conv2d_direct_cpu.h"
#include "engine/ops/conv2d_winograd_cpu.h"
#include "engine/ops/matmul.h"

namespace invp::cpu {

void conv2d_forward(const Conv2dShape& s, const Tensor& x, const Tensor& w, const Tensor& b,
                    const Tensor& y, Conv2dFusion fusion) {
  if (y.numel() == 0) return;
  if (winograd_applies(s, x.dtype())) return winograd_forward(s, x, w, b, y, fusion);
  direct_forward(s, x, w, b, y, fusion);
}

void conv2d_backward_input(const Conv2dShape& s, const Tensor& dy, const Tensor& w,
                           const Tensor& dx) {
  if (dx.numel() == 0) return;
  if (winograd_applies(s, dy.dtype())) return winograd_backward_input(s, dy, w, dx);
  direct_backward_input(s, dy, w, dx);
}

void conv2d_backward_weight(const Conv2dShape& s, const Tensor& dy, const Tensor& x,
                            const Tensor& dw, const Tensor& db) {
  if (x.numel() == 0 || dy.numel() == 0) {
    dw.zero();
    if (db.defined()) db.zero();
    return;
  }
  if (winograd_applies(s, x.dtype()) && s.C * s.K > 16 * 16) {
    winograd_backward_weight(s, dy, x, dw);
    if (db.defined()) column_sums(dy.view({s.N * s.P * s.Q, s.K}), db);
    return;
  }
  direct_backward_weight(s, dy, x, dw, db);
}

}  // namespace invp::cpu
