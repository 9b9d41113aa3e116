// Processes that work as one run, and what they exchange. A rank is one process. What a run
// computes is a function of its settings and never of the number of ranks: sums are taken in a
// fixed tree (SumOrder::kFixed), and everything else is only moved.
#pragma once

#include <cstdint>
#include <memory>

#include "engine/core/captured_work.h"
#include "engine/core/tensor.h"

namespace invp {

enum class Reduction : std::uint8_t { kSum, kMax, kMin };

enum class SumOrder : std::uint8_t {
  kFixed,  ///< ranks 0 and 1 are added, 2 and 3, then these pairs, an odd one waits: the same bits
           ///< whatever the library
  kFast,   ///< the library's own
};

struct Ranks {
  int rank = 0;
  int size = 1;
  int local_rank = 0;  ///< among those of this machine
  int local_size = 1;
};

/// Every call is collective: all ranks make it, in the same order, with the same shapes. `name` is
/// what errors, deadlines and the flight recorder say: "gradients". Tensors are contiguous, on the
/// device of the communicator. On a CPU a call is done on return; on a GPU it is queued and can be
/// captured. Throws Error when a rank is lost or a deadline passes.
class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual Ranks ranks() const = 0;

  /// In place. f32, bf16 (every sum of two is rounded), f64, i64.
  virtual void all_reduce(const char* name, const Tensor& x, Reduction reduction = Reduction::kSum,
                          SumOrder order = SumOrder::kFixed) = 0;
  /// `all`: (size, shape of `mine`), of any dtype.
  virtual void all_gather(const char* name, const Tensor& mine, const Tensor& all) = 0;
  /// Row r of `in` goes to rank r, row r of `out` comes from there. (size, ...) each.
  virtual void all_to_all(const char* name, const Tensor& out, const Tensor& in) = 0;
  virtual void broadcast(const char* name, const Tensor& x, int root) = 0;
  /// The communicator of the ranks that give the same color, in the order of their ranks.
  virtual std::shared_ptr<Communicator> split(int color) = 0;
  /// The host waits for the device as for other ranks: with a deadline, looking for lost ranks.
  virtual void wait(const DeviceMark& mark) = 0;

  bool alone() const { return ranks().size == 1; }
};

/// Of one rank: every call leaves or copies what is there.
std::shared_ptr<Communicator> alone();

}  // namespace invp
