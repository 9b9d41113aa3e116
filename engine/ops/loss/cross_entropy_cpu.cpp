#include "engine/core/parallel.h"
#include "engine/ops/basic/softmax_rows_cpu.h"
#include "engine/ops/loss/cross_entropy.h"

namespace invp::cpu {

namespace {

std::int64_t grain(std::int64_t classes) {
  return 1 + 2048 / (classes + 1);
}

}  // namespace

void cross_entropy_forward(const Tensor& x, const Tensor& labels, const Tensor& log_sum_exp,
                           const Tensor& weight, const Tensor& loss) {
  const std::int64_t classes = x.dim(1);
  const std::int64_t* const label = labels.data<std::int64_t>();
  float* const partition = log_sum_exp.data<float>();
  dispatch_floating(x.dtype(), "cross_entropy", [&]<class T>(T) {
    const T* const logits = x.data<T>();
    parallel_for(0, x.dim(0), grain(classes), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        CHECK(label[i] == kIgnoredLabel || (0 <= label[i] && label[i] < classes),
              "[cross_entropy] label ", label[i], " of row ", i, " is none of ", classes,
              " classes");
        partition[i] = row_log_sum_exp(logits + i * classes, classes);
      }
    });
    double total = 0;
    std::int64_t rows = 0;
    for (std::int64_t i = 0; i < x.dim(0); ++i) {
      if (label[i] == kIgnoredLabel) continue;
      total += partition[i] - static_cast<float>(logits[i * classes + label[i]]);
      ++rows;
    }
    *weight.data<float>() = 1 / static_cast<float>(rows);
    *loss.data<float>() = static_cast<float>(total / static_cast<double>(rows));
  });
}

void cross_entropy_backward(const Tensor& x, const Tensor& labels, const Tensor& log_sum_exp,
                            const Tensor& weight, const Tensor& dy, const Tensor& dx) {
  const std::int64_t classes = x.dim(1);
  const std::int64_t* const label = labels.data<std::int64_t>();
  const float scale = *weight.data<float>() * *dy.data<float>();
  dispatch_floating(x.dtype(), "cross_entropy", [&]<class T>(T) {
    parallel_for(0, x.dim(0), grain(classes), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const T* const logits = x.data<T>() + i * classes;
        T* const to = dx.data<T>() + i * classes;
        if (label[i] == kIgnoredLabel) {
          std::fill_n(to, classes, T(0.0F));
          continue;
        }
        const float shift = log_sum_exp.data<float>()[i];
        for (std::int64_t c = 0; c < classes; ++c) {
          const float probability = std::exp(static_cast<float>(logits[c]) - shift);
          to[c] = T((probability - (c == label[i] ? 1.0F : 0.0F)) * scale);
        }
      }
    });
  });
}

}  // namespace invp::cpu
