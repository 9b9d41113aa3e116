#include "engine/comm/cores.h"

#include <gtest/gtest.h>

#include <numeric>

#include "engine/comm/comm_mpi.h"
#include "engine/comm/host.h"
#include "tests/ranks/run_ranks.h"

namespace invp::testing {
namespace {

CoresOfRank on(const char* host, int first, int count, int of_host) {
  CoresOfRank rank{.host = host, .bound = {}, .usable = count, .of_host = of_host};
  rank.bound.resize(static_cast<std::size_t>(count));
  std::iota(rank.bound.begin(), rank.bound.end(), first);
  return rank;
}

TEST(Cores, AreSharedOut) {
  struct Case {
    const char* what;
    std::vector<CoresOfRank> ranks;
    int threads;
    const char* note;
  };
  CoresOfRank quota = on("a", 0, 8, 8);
  quota.usable = 3;
  const Case cases[] = {
      {"both have all", {on("a", 0, 8, 8), on("a", 0, 8, 8)}, 4, ""},
      {"a half each", {on("a", 0, 4, 8), on("a", 4, 4, 8)}, 4, ""},
      {"two of two cores", {on("a", 0, 2, 2), on("a", 0, 2, 2)}, 1, ""},
      {"one core each of two", {on("a", 0, 1, 2), on("a", 1, 1, 2)}, 1, ""},
      {"more ranks than cores", {on("a", 0, 1, 1), on("a", 0, 1, 1)}, 1, ""},
      {"bound to one of eight",
       {on("a", 0, 1, 8), on("a", 1, 1, 8)},
       1,
       "rank 0 (a) is bound to 1 of 8 cores, which 2 ranks have: "},
      {"hosts of other sizes", {on("a", 0, 8, 8), on("b", 0, 4, 4), on("b", 0, 4, 4)}, 2, ""},
      {"a quota", {quota, quota}, 1, ""},
      {"one is bound",
       {on("a", 0, 8, 8), on("b", 0, 2, 8)},
       2,
       "rank 1 (b) is bound to 2 of 8 cores, which 1 rank has: "},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    const SharedCores shared = share_cores(c.ranks);
    EXPECT_EQ(shared.threads, c.threads);
    EXPECT_EQ(shared.note.find(c.note), 0U) << shared.note;
    EXPECT_EQ(shared.note.empty(), *c.note == '\0') << shared.note;
  }
}

RANKS_TEST(Cores, AreToldToAllRanks, 2) {
  const auto ranks = join_mpi(deadline_watch(start_mpi(), Seconds(60)));
  const std::vector<CoresOfRank> all = gather_cores(*ranks);
  ASSERT_EQ(all.size(), 2U);
  const CoresOfRank& own = all[static_cast<std::size_t>(ranks->ranks().rank)];
  EXPECT_EQ(own.host, host_name());
  EXPECT_EQ(own.bound, own_cores().bound);
  EXPECT_FALSE(own.bound.empty());
  EXPECT_LE(std::ssize(own.bound), own.of_host);
}

}  // namespace
}  // namespace invp::testing
