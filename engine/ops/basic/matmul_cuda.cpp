// Matrix products by cuBLASLt.
#include <cublasLt.h>

#include <algorithm>
#include <compare>
#include <cstdint>
#include <map>

#include "engine/core/cuda_context.h"
#include "engine/core/numerics.h"
#include "engine/ops/basic/cast.h"
#include "engine/ops/basic/elementwise.h"
#include "engine/ops/basic/matmul.h"
#include "engine/ops/basic/matmul_round_cuda.h"

namespace invp::cuda {

namespace {

void check(cublasStatus_t status, const char* call) {
  if (status == CUBLAS_STATUS_SUCCESS) [[likely]]
    return;
  fail_call(call,
            message(cublasLtGetStatusString(status), " (", cublasLtGetStatusName(status), ")"));
}

/// The largest power of two that divides an address, up to what kernels use.
std::uint32_t alignment_of(const void* pointer) {
  const auto address = reinterpret_cast<std::uintptr_t>(pointer);
  return static_cast<std::uint32_t>(std::min<std::uintptr_t>(address & -address, 256));
}

/// A row-major matrix of R rows and C columns is, read as cuBLASLt reads memory, the column-major
/// matrix of C rows and R columns that is its transpose. So y = op(a) op(b) is asked for as
/// y^T = op(b)^T op(a)^T: b's memory is the library's A, a's its B, both with their own transposes,
/// and y's columns are the rows its bias runs along.
struct Problem {
  std::int64_t a_rows, a_columns, b_rows, b_columns, M, N;
  Transpose transpose_a, transpose_b;
  DType dtype, y_dtype;
  std::uint32_t a_alignment, b_alignment, y_alignment;
  std::uint32_t bias_alignment;  ///< 0: none
  bool allow_tf32, deterministic;

  auto operator<=>(const Problem&) const = default;
};

Problem problem_of(const Tensor& a, Transpose transpose_a, const Tensor& b, Transpose transpose_b,
                   const Tensor& bias, const Tensor& y) {
  return {.a_rows = a.dim(0),
          .a_columns = a.dim(1),
          .b_rows = b.dim(0),
          .b_columns = b.dim(1),
          .M = y.dim(0),
          .N = y.dim(1),
          .transpose_a = transpose_a,
          .transpose_b = transpose_b,
          .dtype = a.dtype(),
          .y_dtype = y.dtype(),
          .a_alignment = alignment_of(a.raw()),
          .b_alignment = alignment_of(b.raw()),
          .y_alignment = alignment_of(y.raw()),
          .bias_alignment = bias.defined() ? alignment_of(bias.raw()) : 0,
          .allow_tf32 = numerics().allow_tf32,
          .deterministic = numerics().deterministic};
}

/// Which ways of splitting the sum over the inner extent may be chosen. Parts kept in f32 and added
/// up by a second kernel (or no split at all) give the same bits every time. The others keep parts
/// in the type of y, which would not be a sum in f32 when that is bf16; adding them in place, one
/// block after the other, has no documented order.
std::uint32_t reductions(const Problem& problem) {
  const bool f32_in_fixed_order = problem.y_dtype == DType::kBF16 || problem.deterministic;
  return f32_in_fixed_order ? CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE
                            : CUBLASLT_REDUCTION_SCHEME_MASK;
}

/// A problem as cuBLASLt knows it, and the algorithm it chose. The descriptors are plain memory
/// that need not be destroyed.
class Plan {
 public:
  Plan(cublasLtHandle_t handle, const Problem& problem, const void* bias,
       std::uint64_t most_workspace) {
    describe(problem);
    if (bias != nullptr) {
      set(CUBLASLT_MATMUL_DESC_EPILOGUE, std::uint32_t{CUBLASLT_EPILOGUE_BIAS});
      set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);  // the choice depends on its alignment
    }
    choose(handle, problem, most_workspace);
  }
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  void run(cublasLtHandle_t handle, const Context& gpu, const Tensor& a, const Tensor& b,
           const Tensor& bias, const Tensor& y) {
    if (bias.defined()) set<const void*>(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias.raw());
    Tensor workspace;
    if (workspace_ > 0) {
      const MemoryScope scope(MemoryUse::kWorkspace);
      workspace = Tensor::empty({static_cast<std::int64_t>(workspace_)}, DType::kU8, y.device());
    }
    const float one = 1;
    const float zero = 0;
    check(cublasLtMatmul(handle, &product_, &one, b.raw(), &b_, a.raw(), &a_, &zero, y.raw(), &y_,
                         y.raw(), &y_, &algorithm_, workspace.defined() ? workspace.raw() : nullptr,
                         workspace_, gpu.stream()),
          "cublasLtMatmul");
  }

 private:
  template <class T>
  void set(cublasLtMatmulDescAttributes_t attribute, T value) {
    check(cublasLtMatmulDescSetAttribute(&product_, attribute, &value, sizeof value),
          "cublasLtMatmulDescSetAttribute");
  }

  void describe(const Problem& problem) {
    const bool tf32 = problem.dtype == DType::kF32 && problem.allow_tf32;
    check(cublasLtMatmulDescInit(
              &product_, tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F, CUDA_R_32F),
          "cublasLtMatmulDescInit");
    const auto operation = [](Transpose transpose) -> std::int32_t {
      return transpose == Transpose::kYes ? CUBLAS_OP_T : CUBLAS_OP_N;
    };
    set(CUBLASLT_MATMUL_DESC_TRANSA, operation(problem.transpose_b));
    set(CUBLASLT_MATMUL_DESC_TRANSB, operation(problem.transpose_a));
    const auto layout = [](cublasLtMatrixLayout_t matrix, DType dtype, std::int64_t rows,
                           std::int64_t columns) {
      const cudaDataType_t type = dtype == DType::kBF16 ? CUDA_R_16BF : CUDA_R_32F;
      check(cublasLtMatrixLayoutInit(matrix, type, static_cast<std::uint64_t>(columns),
                                     static_cast<std::uint64_t>(rows), columns),
            "cublasLtMatrixLayoutInit");
    };
    layout(&a_, problem.dtype, problem.a_rows, problem.a_columns);
    layout(&b_, problem.dtype, problem.b_rows, problem.b_columns);
    layout(&y_, problem.y_dtype, problem.M, problem.N);
  }

  void choose(cublasLtHandle_t handle, const Problem& problem, std::uint64_t most_workspace) {
    cublasLtMatmulPreferenceOpaque_t preference{};
    check(cublasLtMatmulPreferenceInit(&preference), "cublasLtMatmulPreferenceInit");
    const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, auto value) {
      check(cublasLtMatmulPreferenceSetAttribute(&preference, attribute, &value, sizeof value),
            "cublasLtMatmulPreferenceSetAttribute");
    };
    prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, most_workspace);
    prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, reductions(problem));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, problem.b_alignment);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, problem.a_alignment);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, problem.y_alignment);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, problem.y_alignment);
    cublasLtMatmulHeuristicResult_t result{};
    int found = 0;
    check(cublasLtMatmulAlgoGetHeuristic(handle, &product_, &b_, &a_, &y_, &y_, &preference, 1,
                                         &result, &found),
          "cublasLtMatmulAlgoGetHeuristic");
    check(found == 0 ? CUBLAS_STATUS_NOT_SUPPORTED : result.state,
          "cublasLtMatmulAlgoGetHeuristic");
    algorithm_ = result.algo;
    workspace_ = result.workspaceSize;
  }

  cublasLtMatmulDescOpaque_t product_{};
  cublasLtMatrixLayoutOpaque_t a_{}, b_{}, y_{};
  cublasLtMatmulAlgo_t algorithm_{};
  std::size_t workspace_ = 0;  ///< bytes
};

/// cuBLASLt on one GPU, with a plan for each problem seen.
class CublasLt {
 public:
  // NVIDIA's advice: 32 MiB of workspace from Hopper on, 4 before.
  explicit CublasLt(const Context& gpu)
      : gpu_(gpu), most_workspace_(std::uint64_t{gpu.properties().major >= 9 ? 32U : 4U} << 20) {
    check(cublasLtCreate(&handle_), "cublasLtCreate");
  }

  /// y = op(a) op(b) + bias; y f32 or of the operands' type, bias undefined or of y's.
  void multiply(const Tensor& a, Transpose transpose_a, const Tensor& b, Transpose transpose_b,
                const Tensor& bias, const Tensor& y) {
    const Problem problem = problem_of(a, transpose_a, b, transpose_b, bias, y);
    const auto [place, added] = plans_.try_emplace(
        problem, handle_, problem, bias.defined() ? bias.raw() : nullptr, most_workspace_);
    place->second.run(handle_, gpu_, a, b, bias, y);
  }

 private:
  const Context& gpu_;
  cublasLtHandle_t handle_ = nullptr;  // lives as long as the process, like the context
  std::uint64_t most_workspace_;
  std::map<Problem, Plan> plans_;
};

enum class Activation : bool { kNone, kRelu };

/// y = activation(op(a) op(b) + bias).
void finished_product(const Tensor& a, Transpose transpose_a, const Tensor& b,
                      Transpose transpose_b, const Tensor& bias, Activation activation,
                      const Tensor& y) {
  if (y.numel() == 0) return;
  const MemoryScope scope(MemoryUse::kWorkspace);
  if (a.numel() == 0) {  // no inner extent: the same as one of zeros
    return finished_product(Tensor::zeros({y.dim(0), 1}, y.dtype(), y.device()), Transpose::kNo,
                            Tensor::zeros({1, y.dim(1)}, y.dtype(), y.device()), Transpose::kNo,
                            bias, activation, y);
  }
  // The library adds a bias only in the type of its result. So the result of bf16 operands is f32
  // then, and rounded by our own pass; a bf16 bias would also need a pass, and be less exact.
  const bool rounded = bias.defined() && y.dtype() == DType::kBF16;
  const Tensor sums = rounded ? Tensor::empty(y.shape(), DType::kF32, y.device()) : y;
  context(y.device()).part<CublasLt>().multiply(a, transpose_a, b, transpose_b, bias, sums);
  // The library's own ReLU is max(x, 0), which need not keep NaN, and so could hide a diverged run.
  const bool relu = activation == Activation::kRelu;
  if (rounded && relu) return round_relu(sums, y);
  if (rounded) return cast(sums, y);
  if (relu) relu_forward(y, y);
}

}  // namespace

void gemm(const Tensor& a, Transpose transpose_a, const Tensor& b, Transpose transpose_b,
          const Tensor& bias, const Tensor& y) {
  finished_product(a, transpose_a, b, transpose_b, bias, Activation::kNone, y);
}

void gemm_relu(const Tensor& a, Transpose transpose_a, const Tensor& b, Transpose transpose_b,
               const Tensor& bias, const Tensor& y) {
  finished_product(a, transpose_a, b, transpose_b, bias, Activation::kRelu, y);
}

}  // namespace invp::cuda
