// Data parallelism on the CPU: one thread pool for the whole process, OpenMP's, because oneDNN uses
// the same one.
#pragma once

#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <exception>

namespace invp {

/// Threads used by parallel_for and by oneDNN. 0 asks for OMP_NUM_THREADS, and without it for
/// every usable core. Never more than OpenMP and the system start, which is tried out.
void set_num_threads(int threads);
int num_threads();

/// Calls body(begin, end) on contiguous, disjoint ranges that cover [begin, end): at most one per
/// thread, each at least `grain` long but for the last. The split depends only on the range, the
/// grain and num_threads(). Runs on the calling thread when one range suffices, and inside another
/// parallel region.
/// The first exception thrown by a body is rethrown.
template <class Body>
void parallel_for(std::int64_t begin, std::int64_t end, std::int64_t grain, const Body& body) {
  const std::int64_t count = end - begin;
  if (count <= 0) return;
  const std::int64_t wanted =
      (count + std::max<std::int64_t>(grain, 1) - 1) / std::max<std::int64_t>(grain, 1);
  const int threads = static_cast<int>(std::min<std::int64_t>(wanted, num_threads()));
  if (threads <= 1 || omp_in_parallel() != 0) {
    body(begin, end);
    return;
  }
  std::exception_ptr error;
#pragma omp parallel num_threads(threads)
  {
    const std::int64_t parts = omp_get_num_threads();
    const std::int64_t part = omp_get_thread_num();
    try {
      const std::int64_t first = begin + count * part / parts;
      const std::int64_t last = begin + count * (part + 1) / parts;
      if (first < last) body(first, last);
    } catch (...) {
#pragma omp critical(invp_parallel_for_error)
      error = std::current_exception();
    }
  }
  if (error) std::rethrow_exception(error);
}

}  // namespace invp
