#include "invp/run/share_plans.h"

#include "engine/comm/gather.h"
#include "engine/plans/plan_file.h"

namespace invp {

void share_plans(Communicator& ranks, const std::filesystem::path& file) {
  const bool first = ranks.ranks().rank == 0;
  if (first) set_run_plan_file(file);
  if (ranks.alone()) return;
  const auto told = [&](const std::filesystem::path& path) {
    return broadcast_text(ranks, "plans", first ? plan_text(path) : std::string());
  };
  std::string of_run = told(file);
  set_given_plans({.given = true, .of_run = std::move(of_run), .of_user = told(user_plan_file())});
}

}  // namespace invp
