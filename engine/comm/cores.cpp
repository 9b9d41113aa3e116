#include "engine/comm/cores.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "engine/comm/gather.h"
#include "engine/comm/host.h"
#include "engine/core/cpu_share.h"
#include "engine/core/error.h"

namespace invp {

namespace {

bool overlap(const CoresOfRank& a, const CoresOfRank& b) {
  return a.host == b.host && std::ranges::any_of(a.bound, [&](int core) {
           return std::ranges::find(b.bound, core) != b.bound.end();
         });
}

}  // namespace

SharedCores share_cores(const std::vector<CoresOfRank>& ranks) {
  SharedCores shared;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    const CoresOfRank& own = ranks[rank];
    const auto sharing =
        std::ranges::count_if(ranks, [&](const CoresOfRank& other) { return overlap(own, other); });
    const auto on_host = std::ranges::count(ranks, own.host, &CoresOfRank::host);
    const int threads =
        std::max(1, own.usable / static_cast<int>(std::max<std::ptrdiff_t>(1, sharing)));
    shared.threads = shared.threads == 0 ? threads : std::min(shared.threads, threads);
    const int fair = own.of_host / static_cast<int>(std::max<std::ptrdiff_t>(1, on_host));
    if (!shared.note.empty() || std::ssize(own.bound) >= fair) continue;
    shared.note = message("rank ", rank, " (", own.host, ") is bound to ", own.bound.size(), " of ",
                          own.of_host, " cores, which ", on_host,
                          on_host == 1 ? " rank has: " : " ranks have: ",
                          "its launcher bound it (mpirun: --bind-to none; srun: --cpus-per-task)");
  }
  return shared;
}

CoresOfRank own_cores() {
  CoresOfRank own{.host = host_name(),
                  .bound = {},
                  .usable = usable_cores(),
                  .of_host = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN))};
  cpu_set_t mask;
  CPU_ZERO(&mask);
  if (sched_getaffinity(0, sizeof mask, &mask) != 0) return own;
  for (int core = 0; core < CPU_SETSIZE; ++core)
    if (CPU_ISSET(core, &mask)) own.bound.push_back(core);
  return own;
}

std::vector<CoresOfRank> gather_cores(Communicator& ranks) {
  const CoresOfRank own = own_cores();
  std::vector<std::string> texts = {own.host, std::to_string(own.usable),
                                    std::to_string(own.of_host)};
  for (const int core : own.bound) texts.push_back(std::to_string(core));
  std::vector<CoresOfRank> all;
  for (const std::string& text : gather_text(ranks, "cores", packed(texts))) {
    const std::vector<std::string> given = unpacked(text);
    all.push_back({.host = given.at(0),
                   .bound = {},
                   .usable = std::stoi(given.at(1)),
                   .of_host = std::stoi(given.at(2))});
    for (std::size_t i = 3; i < given.size(); ++i) all.back().bound.push_back(std::stoi(given[i]));
  }
  return all;
}

}  // namespace invp
