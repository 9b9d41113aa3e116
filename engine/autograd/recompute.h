// Memory for time: results that the backward pass computes again instead of keeping them from the
// forward pass. Whatever is computed again has the same bits.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "engine/autograd/node.h"

namespace invp {

// One tensor at a time: an operation that keeps its inputs anyway offers its output again, and who
// would save the output saves the offer.

/// Lets those who save `output` for their backward pass call `recipe` there instead. The recipe
/// returns the same elements anew, needs nothing but what the operation saved, and in particular
/// not `output`. Does nothing if `output` was not recorded.
void offer_again(const Tensor& output, std::function<Tensor()> recipe);

/// While one lives on this thread, Saved takes offers.
class TakeOffers {
 public:
  explicit TakeOffers(bool on);
  ~TakeOffers();
  TakeOffers(const TakeOffers&) = delete;
  TakeOffers& operator=(const TakeOffers&) = delete;

 private:
  bool previous_;
};

/// What an operation saves of an input for its backward pass.
class Saved {
 public:
  Saved() = default;
  explicit Saved(const Tensor& input);
  /// The elements, which this then no longer holds: for the one time they are wanted. Memory of
  /// offered ones is taken here.
  Tensor take();

 private:
  Tensor elements_;
  std::shared_ptr<Node> maker_;  ///< whose recipe to follow; an edge holds it just as long
};

// A whole part of a network at a time.

/// body(x), none of whose inner results is kept: body runs unrecorded, and once more, recorded, in
/// the backward pass, where parameters get their gradients as usual. body must compute the same
/// every time, may use parameters and constants besides x but no other recorded results, and must
/// outlive the backward pass with all it refers to. Bodies may nest. Where no gradient of x would
/// be recorded this is body(x) and nothing else.
Tensor recomputed(const std::function<Tensor(Tensor x)>& body, const Tensor& x);

/// compute(), but when recomputed() runs a body again, what it returned the first time: for what
/// must not happen twice, and for what is small and dear. Kept until the backward pass.
std::vector<Tensor> once(const std::function<std::vector<Tensor>()>& compute);

}  // namespace invp
