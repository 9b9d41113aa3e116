// Which of a library's algorithms computes a problem: the one the run used before, the fastest as
// measured once on this machine, or the library's first guess.
#pragma once

#include <string>
#include <vector>

#include "engine/plans/plan_file.h"

namespace invp {

/// What a library offers for one problem.
class PlanOffers {
 public:
  virtual ~PlanOffers() = default;
  /// The library's best guess first.
  virtual std::vector<std::string> list() = 0;
  /// Makes it the one that runs; false if it is not to be had (any more).
  virtual bool take(const std::string& plan) = 0;
  /// How long the one taken runs. Throws Error if it cannot run now.
  virtual double microseconds() = 0;
};

/// Where choices are kept, and how new ones are made.
struct PlanPolicy {
  PlanFile* run = nullptr;     ///< the run's own file, if it has one
  PlanFile* shared = nullptr;  ///< of all runs of this machine; null: choices must not depend on it
  bool measure = false;        ///< take the fastest of the first few, not the first
};

/// The choice for a problem, taken from `offers` and recorded. In the shared file only what was
/// measured is recorded: that there is no algorithm at all may be the fault of a broken
/// installation, and must not outlive it.
PlanChoice choose_plan(const std::string& problem, PlanOffers& offers, const PlanPolicy& policy);

}  // namespace invp
