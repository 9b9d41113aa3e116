// How the GPU searches a bank of given size (top_similar_cuda.cu): chosen by shapes alone. The plan
// does not change the answer.
#pragma once

#include "engine/core/tensor.h"

namespace invp::cuda {

/// Each query is given a threshold: the `rank`-th largest of its similarities to every stride-th
/// row of the bank. Rows not below it are written to a list that has room for `capacity`. A query
/// whose list is shorter than the answer or longer than its room is searched again, without a
/// threshold from a sample.
struct SearchPlan {
  std::int64_t stride = 1;
  std::int64_t samples = 0;
  std::int64_t rank = 0;      ///< 0: no threshold, every row is listed
  std::int64_t capacity = 0;  ///< at least the count sought
  bool tensor_cores = false;  ///< for finding rows not below the threshold, if the shapes allow it
};

/// For the `count` best of `rows`.
///
/// Of 32768 samples some e = count x samples / rows are among the `count` best, give or take its
/// root, because sampled rows fall there or not almost independently. Too few rows pass if rank or
/// more of them do; six roots above e leave that a chance of 1e-9 per query. The rows that pass are
/// then expected to be rows / samples x rank, give or take one part in the root of rank (1.6 count
/// +- 8 % for the 4096 best of 1.28 million), and again six roots are room enough.
SearchPlan plan_search(std::int64_t rows, std::int64_t count);

/// top_similar's kernel with the plan in the caller's hands: any plan gives the same answer.
void top_similar(const Tensor& queries, const Tensor& bank, const SearchPlan& plan,
                 const Tensor& rows, const Tensor& similarities);

}  // namespace invp::cuda
