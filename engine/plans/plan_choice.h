// Which of a library's algorithms computes a problem: the one that the run used before, else the
// fastest one that was measured on this machine, else the library's first guess.
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
  /// Takes this one; false if the library has it no longer, or cannot build it.
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

/// The choice for a problem, taken from `offers` and written to the files. The shared file gets
/// only what was measured: that there is no algorithm may be due to a broken installation.
PlanChoice choose_plan(const std::string& problem, PlanOffers& offers, const PlanPolicy& policy);

}  // namespace invp
