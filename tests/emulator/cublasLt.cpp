#include "cublasLt.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include "emulator.h"

namespace {

constexpr std::uint64_t kSplitFrom = 256;  // inner extents that are summed in two parts

template <class T>
cublasStatus_t store(T& field, const void* value, std::size_t bytes) {
  if (value == nullptr || bytes != sizeof field) return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(&field, value, bytes);
  return CUBLAS_STATUS_SUCCESS;
}

float load(const void* from, cudaDataType_t type, std::uint64_t i) {
  if (type == CUDA_R_32F) return static_cast<const float*>(from)[i];
  const std::uint32_t bits = static_cast<const std::uint16_t*>(from)[i];
  return std::bit_cast<float>(bits << 16);
}

/// The value with all but the upper `kept` bits of an f32 rounded away, to nearest even.
std::uint32_t round_bits(float value, unsigned kept) {
  const auto word = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t lost = (1U << (32 - kept)) - 1;
  if (value != value) return (word | 0x00400000) & ~lost;
  return (word + (lost >> 1) + ((word >> (32 - kept)) & 1)) & ~lost;
}

void save(void* to, cudaDataType_t type, std::uint64_t i, float value) {
  if (type == CUDA_R_32F) {
    static_cast<float*>(to)[i] = value;
  } else {
    static_cast<std::uint16_t*>(to)[i] = static_cast<std::uint16_t>(round_bits(value, 16) >> 16);
  }
}

struct Extents {
  std::uint64_t m, n, k;
};

/// Of D = op(A) op(B); zero where the layouts do not fit one another or themselves.
Extents extents_of(const cublasLtMatmulDescOpaque_t& desc, const cublasLtMatrixLayoutOpaque_t& a,
                   const cublasLtMatrixLayoutOpaque_t& b, const cublasLtMatrixLayoutOpaque_t& c,
                   const cublasLtMatrixLayoutOpaque_t& d) {
  const bool turned_a = desc.transpose_a == CUBLAS_OP_T;
  const bool turned_b = desc.transpose_b == CUBLAS_OP_T;
  const std::uint64_t k = turned_a ? a.rows : a.columns;
  const auto sound = [](const cublasLtMatrixLayoutOpaque_t& x) {
    return x.leading >= 0 && static_cast<std::uint64_t>(x.leading) >= x.rows;
  };
  const bool fits = d.rows == (turned_a ? a.columns : a.rows) &&
                    d.columns == (turned_b ? b.rows : b.columns) &&
                    k == (turned_b ? b.columns : b.rows) && c.rows == d.rows &&
                    c.columns == d.columns && sound(a) && sound(b) && sound(c) && sound(d);
  return fits ? Extents{d.rows, d.columns, k} : Extents{};
}

/// The combinations of the library's table that have f32 scales and real types of 16 or 32 bits.
cublasStatus_t check_types(const cublasLtMatmulDescOpaque_t& desc, cudaDataType_t a,
                           cudaDataType_t b, cudaDataType_t c, cudaDataType_t d) {
  const bool f32 = a == CUDA_R_32F && b == a && c == a && d == a;
  const bool bf16 = a == CUDA_R_16BF && b == a && (c == CUDA_R_16BF || c == CUDA_R_32F) && d == c;
  const bool computes =
      desc.compute == CUBLAS_COMPUTE_32F || (f32 && desc.compute == CUBLAS_COMPUTE_32F_FAST_TF32);
  const bool bias_fits = desc.epilogue != CUBLASLT_EPILOGUE_BIAS || desc.bias_type == -1 ||
                         desc.bias_type == static_cast<std::int32_t>(d);
  const bool known =
      desc.epilogue == CUBLASLT_EPILOGUE_DEFAULT || desc.epilogue == CUBLASLT_EPILOGUE_BIAS;
  return (f32 || bf16) && desc.scale == CUDA_R_32F && computes && bias_fits && known
             ? CUBLAS_STATUS_SUCCESS
             : CUBLAS_STATUS_NOT_SUPPORTED;
}

std::uint64_t fingerprint(const cublasLtMatmulDescOpaque_t& desc,
                          const cublasLtMatrixLayoutOpaque_t& a,
                          const cublasLtMatrixLayoutOpaque_t& b,
                          const cublasLtMatrixLayoutOpaque_t& d) {
  std::uint64_t hash = 0;
  for (const std::uint64_t part :
       {static_cast<std::uint64_t>(desc.compute), static_cast<std::uint64_t>(desc.transpose_a),
        static_cast<std::uint64_t>(desc.transpose_b), static_cast<std::uint64_t>(desc.epilogue),
        static_cast<std::uint64_t>(a.type), static_cast<std::uint64_t>(d.type), a.rows, a.columns,
        static_cast<std::uint64_t>(a.leading), b.rows, b.columns,
        static_cast<std::uint64_t>(b.leading), static_cast<std::uint64_t>(d.leading)}) {
    hash = (hash ^ part) * 0x9E3779B97F4A7C15 + 1;
  }
  return hash;
}

std::uint32_t alignment_of(const void* pointer) {
  const auto address = reinterpret_cast<std::uintptr_t>(pointer);
  return static_cast<std::uint32_t>(
      std::min<std::uintptr_t>((address | 256) & -(address | 256), 256));
}

bool is_aligned(const void* pointer, std::uint32_t alignment) {
  return alignment == 0 || reinterpret_cast<std::uintptr_t>(pointer) % alignment == 0;
}

/// op(X) as rows of `inner` values each, rounded as the product rounds its operands.
std::vector<float> gather(const void* x, const cublasLtMatrixLayoutOpaque_t& layout, bool by_column,
                          bool tf32) {
  std::vector<float> values;
  values.reserve(layout.rows * layout.columns);
  const std::uint64_t outer = by_column ? layout.columns : layout.rows;
  const std::uint64_t inner = by_column ? layout.rows : layout.columns;
  const auto leading = static_cast<std::uint64_t>(layout.leading);
  for (std::uint64_t i = 0; i < outer; ++i) {
    for (std::uint64_t j = 0; j < inner; ++j) {
      const float value = load(x, layout.type, by_column ? i * leading + j : j * leading + i);
      values.push_back(tf32 ? std::bit_cast<float>(round_bits(value, 19)) : value);
    }
  }
  return values;
}

/// op(A) op(B), column-major, from the rows of op(A) and the columns of op(B). Several parts of the
/// inner extent are summed apart, in the workspace.
std::vector<float> products(const std::vector<float>& rows, const std::vector<float>& columns,
                            const Extents& extents, std::uint32_t parts, float* workspace) {
  const auto [m, n, k] = extents;
  std::vector<float> totals(m * n, 0.0F);
  for (std::uint32_t part = 0; part < parts; ++part) {
    const std::uint64_t begin = k * part / parts;
    const std::uint64_t end = k * (part + 1) / parts;
    float* const sums = parts == 1 ? totals.data() : workspace + part * m * n;
    for (std::uint64_t e = 0; e < m * n; ++e) {
      float sum = 0;
      for (std::uint64_t l = begin; l < end; ++l) {
        sum += rows[e % m * k + l] * columns[e / m * k + l];
      }
      sums[e] = sum;
    }
  }
  for (std::uint32_t part = 0; part < parts && parts > 1; ++part) {
    for (std::uint64_t e = 0; e < m * n; ++e) totals[e] += workspace[part * m * n + e];
  }
  return totals;
}

}  // namespace

const char* cublasLtGetStatusName(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS: return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_NOT_INITIALIZED: return "CUBLAS_STATUS_NOT_INITIALIZED";
    case CUBLAS_STATUS_ALLOC_FAILED: return "CUBLAS_STATUS_ALLOC_FAILED";
    case CUBLAS_STATUS_INVALID_VALUE: return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_ARCH_MISMATCH: return "CUBLAS_STATUS_ARCH_MISMATCH";
    case CUBLAS_STATUS_EXECUTION_FAILED: return "CUBLAS_STATUS_EXECUTION_FAILED";
    case CUBLAS_STATUS_INTERNAL_ERROR: return "CUBLAS_STATUS_INTERNAL_ERROR";
    case CUBLAS_STATUS_NOT_SUPPORTED: return "CUBLAS_STATUS_NOT_SUPPORTED";
  }
  return "unknown";
}
const char* cublasLtGetStatusString(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS: return "success";
    case CUBLAS_STATUS_INVALID_VALUE:
      return "an unsupported value or parameter was passed to the function";
    case CUBLAS_STATUS_NOT_SUPPORTED: return "the requested functionality is not supported";
    default: return "an error";
  }
}
cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  static int something;
  *handle = reinterpret_cast<cublasLtHandle_t>(&something);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescInit(cublasLtMatmulDesc_t desc, cublasComputeType_t compute,
                                      cudaDataType_t scale) {
  *desc = {.compute = compute,
           .scale = scale,
           .transpose_a = CUBLAS_OP_N,
           .transpose_b = CUBLAS_OP_N,
           .epilogue = CUBLASLT_EPILOGUE_DEFAULT,
           .bias = nullptr,
           .bias_type = -1};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc,
                                              cublasLtMatmulDescAttributes_t attribute,
                                              const void* value, std::size_t bytes) {
  switch (attribute) {
    case CUBLASLT_MATMUL_DESC_TRANSA: return store(desc->transpose_a, value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSB: return store(desc->transpose_b, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE: return store(desc->epilogue, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER: return store(desc->bias, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE: return store(desc->bias_type, value, bytes);
  }
  return CUBLAS_STATUS_INVALID_VALUE;
}
cublasStatus_t cublasLtMatrixLayoutInit(cublasLtMatrixLayout_t layout, cudaDataType type,
                                        std::uint64_t rows, std::uint64_t columns,
                                        std::int64_t leading) {
  *layout = {.type = type, .rows = rows, .columns = columns, .leading = leading};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceInit(cublasLtMatmulPreference_t preference) {
  *preference = {.workspace = 0,
                 .reductions = CUBLASLT_REDUCTION_SCHEME_MASK,
                 .alignments = {256, 256, 256, 256}};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void* value, std::size_t bytes) {
  switch (attribute) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
      return store(preference->workspace, value, bytes);
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK:
      return store(preference->reductions, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
      return store(preference->alignments[attribute - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES],
                   value, bytes);
  }
  return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int wanted,
                                              cublasLtMatmulHeuristicResult_t results[],
                                              int* found) {
  *found = 0;
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  const auto [m, n, k] = extents_of(*desc, *a, *b, *c, *d);
  if (wanted <= 0 || m * n * k == 0) return CUBLAS_STATUS_INVALID_VALUE;
  const cublasStatus_t types = check_types(*desc, a->type, b->type, c->type, d->type);
  if (types != CUBLAS_STATUS_SUCCESS) return types;

  cublasLtMatmulHeuristicResult_t& result = results[0];
  result = {};
  result.algo.problem = fingerprint(*desc, *a, *b, *d);
  for (int i = 0; i < 4; ++i) result.algo.alignments[i] = preference->alignments[i];
  result.algo.alignments[4] = alignment_of(desc->bias);
  result.algo.parts = 1;
  const std::size_t workspace = 2 * m * n * sizeof(float);
  if (k >= kSplitFrom && workspace <= preference->workspace &&
      (preference->reductions & CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE) != 0) {
    result.algo.parts = 2;
    result.workspaceSize = workspace;
  }
  *found = 1;
  return CUBLAS_STATUS_SUCCESS;
}

namespace {

/// Does it now.
cublasStatus_t multiply(cublasLtMatmulDesc_t desc, const void* alpha, const void* a,
                        cublasLtMatrixLayout_t a_layout, const void* b,
                        cublasLtMatrixLayout_t b_layout, const void* beta, const void* c,
                        cublasLtMatrixLayout_t c_layout, void* d, cublasLtMatrixLayout_t d_layout,
                        const cublasLtMatmulAlgo_t* algo, void* workspace,
                        std::size_t workspace_bytes) {
  const auto [m, n, k] = extents_of(*desc, *a_layout, *b_layout, *c_layout, *d_layout);
  const cublasStatus_t types =
      check_types(*desc, a_layout->type, b_layout->type, c_layout->type, d_layout->type);
  if (types != CUBLAS_STATUS_SUCCESS) return types;
  const bool biased = desc->epilogue == CUBLASLT_EPILOGUE_BIAS;
  const std::size_t needed = algo->parts > 1 ? algo->parts * m * n * sizeof(float) : 0;
  if (m * n * k == 0 || algo->problem != fingerprint(*desc, *a_layout, *b_layout, *d_layout) ||
      (biased && desc->bias == nullptr) || workspace_bytes < needed ||
      (needed > 0 && !is_aligned(workspace, 16)) || !is_aligned(a, algo->alignments[0]) ||
      !is_aligned(b, algo->alignments[1]) || !is_aligned(c, algo->alignments[2]) ||
      !is_aligned(d, algo->alignments[3]) ||
      (biased && !is_aligned(desc->bias, algo->alignments[4]))) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  const bool tf32 = desc->compute == CUBLAS_COMPUTE_32F_FAST_TF32;
  const std::vector<float> totals =
      products(gather(a, *a_layout, desc->transpose_a == CUBLAS_OP_T, tf32),
               gather(b, *b_layout, desc->transpose_b != CUBLAS_OP_T, tf32), {m, n, k}, algo->parts,
               static_cast<float*>(workspace));
  const float alpha_value = *static_cast<const float*>(alpha);
  const float beta_value = *static_cast<const float*>(beta);
  for (std::uint64_t e = 0; e < m * n; ++e) {
    const std::uint64_t i = e % m;
    const std::uint64_t j = e / m;
    float value = alpha_value * totals[e];
    if (beta_value != 0) {  // C is not read otherwise
      const auto leading = static_cast<std::uint64_t>(c_layout->leading);
      value += beta_value * load(c, c_layout->type, j * leading + i);
    }
    if (biased) value += load(desc->bias, d_layout->type, i);
    save(d, d_layout->type, j * static_cast<std::uint64_t>(d_layout->leading) + i, value);
  }
  return CUBLAS_STATUS_SUCCESS;
}

}  // namespace

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, const void* alpha,
                              const void* a, cublasLtMatrixLayout_t a_layout, const void* b,
                              cublasLtMatrixLayout_t b_layout, const void* beta, const void* c,
                              cublasLtMatrixLayout_t c_layout, void* d,
                              cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t* algo,
                              void* workspace, std::size_t workspace_bytes, cudaStream_t stream) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (!emulator::must_queue(stream))
    return multiply(desc, alpha, a, a_layout, b, b_layout, beta, c, c_layout, d, d_layout, algo,
                    workspace, workspace_bytes);
  emulator::queue(stream, [=, alpha = *static_cast<const float*>(alpha),
                           beta = *static_cast<const float*>(beta), desc = *desc,
                           a_layout = *a_layout, b_layout = *b_layout, c_layout = *c_layout,
                           d_layout = *d_layout, algo = *algo]() mutable {
    multiply(&desc, &alpha, a, &a_layout, b, &b_layout, &beta, c, &c_layout, d, &d_layout, &algo,
             workspace, workspace_bytes);
  });
  return CUBLAS_STATUS_SUCCESS;
}
