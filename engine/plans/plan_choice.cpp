#include "engine/plans/plan_choice.h"

#include "engine/core/error.h"

namespace invp {

namespace {

/// Libraries rank by models of the GPU: the fastest is nearly always among the first.
constexpr int kMeasured = 8;

PlanChoice first_of(PlanOffers& offers) {
  for (const std::string& plan : offers.list()) {
    if (offers.take(plan)) return {.plan = plan};
  }
  return {};
}

PlanChoice fastest_of(PlanOffers& offers) {
  PlanChoice fastest;
  int measured = 0;
  for (const std::string& plan : offers.list()) {
    if (measured == kMeasured) break;
    if (!offers.take(plan)) continue;
    double time = 0;
    try {
      time = offers.microseconds();
    } catch (const Error&) {
      continue;  // no memory for its workspace, for example
    }
    ++measured;
    if (!fastest.exists() || time < fastest.microseconds) fastest = {plan, time};
  }
  if (fastest.exists() && offers.take(fastest.plan)) return fastest;
  return first_of(offers);
}

std::optional<PlanChoice> known(const std::string& problem, PlanOffers& offers,
                                const PlanFile* file) {
  if (file == nullptr) return std::nullopt;
  const std::optional<PlanChoice> choice = file->find(problem);
  if (!choice || !choice->exists() || offers.take(choice->plan)) return choice;
  return std::nullopt;
}

/// A home folder that cannot be written to is no error: the next run measures again.
void record_if_possible(PlanFile& file, const std::string& problem, const PlanChoice& choice) {
  try {
    file.record(problem, choice);
  } catch (const Error&) {
    return;
  }
}

}  // namespace

PlanChoice choose_plan(const std::string& problem, PlanOffers& offers, const PlanPolicy& policy) {
  if (const auto choice = known(problem, offers, policy.run)) return *choice;
  std::optional<PlanChoice> choice = known(problem, offers, policy.shared);
  if (!choice) {
    choice = policy.measure ? fastest_of(offers) : first_of(offers);
    if (policy.shared != nullptr && choice->microseconds > 0) {
      record_if_possible(*policy.shared, problem, *choice);
    }
  }
  if (policy.run != nullptr) policy.run->record(problem, *choice);
  return *choice;
}

}  // namespace invp
