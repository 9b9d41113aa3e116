// Batch norms that share their statistics over ranks, against the definition in double and against
// one process that has all groups.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "engine/autograd/node.h"
#include "engine/comm/comm_mpi.h"
#include "engine/core/parallel.h"
#include "engine/ops/basic/cast.h"
#include "tests/engine/ops/groups/batch_norm_groups_oracle.h"
#include "tests/ranks/run_ranks.h"
#include "tests/support/close.h"

namespace invp::testing {
namespace {

using Fusion = BatchNormFusion;

std::shared_ptr<Communicator> join() {
  set_num_threads(1);
  return join_mpi(deadline_watch(start_mpi(), Seconds(60)));
}

/// Rows [first, last) of a problem, which are this process's groups `sizes`.
struct Share {
  std::int64_t first = 0, last = 0;
  std::vector<MapSize> sizes;
};

Share whole(const Problem& p) {
  return {.last = rows_of(p.sizes), .sizes = p.sizes};
}

/// The groups of this rank, of whole groups shared out evenly.
Share groups_of(const Problem& p, const Ranks& ranks) {
  const auto each = std::ssize(p.sizes) / ranks.size;
  Share share;
  for (std::int64_t g = 0; g < (ranks.rank + 1) * each; ++g) {
    const MapSize& size = p.sizes[static_cast<std::size_t>(g)];
    if (g < ranks.rank * each)
      share.first += size.rows();
    else
      share.sizes.push_back(size);
  }
  share.last = share.first + rows_of(share.sizes);
  return share;
}

/// Of groups that several ranks share: so many rows each.
Share rows_by_rank(const std::vector<std::int64_t>& counts, int rank) {
  Share share;
  for (int other = 0; other < rank; ++other) share.first += counts[static_cast<std::size_t>(other)];
  share.sizes = {{counts[static_cast<std::size_t>(rank)], 1, 1}};
  share.last = share.first + rows_of(share.sizes);
  return share;
}

Values rows(const Problem& p, const Values& of, const Share& share) {
  return {of.begin() + share.first * p.channels, of.begin() + share.last * p.channels};
}

/// A pass through the norm and back, of a share of the rows.
struct Pass {
  Tensor x, residual, gamma, beta, running_mean, running_var, y;

  Pass(const Problem& p, const Share& share, DType dtype, const GroupNorms& norms) {
    const Shape shape{share.last - share.first, p.channels};
    x = leaf(rows(p, p.x, share), shape);
    residual = leaf(rows(p, p.residual, share), shape);
    gamma = leaf(p.gamma, {p.channels});
    beta = leaf(p.beta, {p.channels});
    running_mean = tensor(p.running_mean, {p.channels});
    running_var = tensor(p.running_var, {p.channels});
    const MapGroups maps{.rows = cast(x, dtype), .sizes = share.sizes, .norms = norms};
    const Tensor added = p.fusion == Fusion::kAddRelu ? cast(residual, dtype) : Tensor();
    const Tensor out =
        batch_norm_groups(p.fusion, maps, added, {gamma, beta, running_mean, running_var}, {}).rows;
    y = out.detach();
    backward(out, tensor(rows(p, p.dy, share), shape, kCpu, dtype));
  }

  /// dgamma and dbeta become the sums over the ranks, as all gradients do.
  void add_up(Communicator& ranks) const {
    ranks.all_reduce("gradients", gamma.grad());
    ranks.all_reduce("gradients", beta.grad());
  }
};

void expect_same_rows(const Tensor& mine, const Tensor& all, const Share& share) {
  expect_identical(mine, all.slice(share.first, share.last));
}

// What one process computes of all groups, several compute of their own, to the bit. The groups are
// of different sizes, as pictures are that are padded by themselves.
RANKS_TEST(BatchNormRanks, WholeGroupsEndInTheBitsOfOneProcess, 2, 4) {
  const auto ranks = join();
  for (const NormSharing sharing : {NormSharing::kNaive, NormSharing::kSync}) {
    for (const Fusion fusion : {Fusion::kNone, Fusion::kRelu, Fusion::kAddRelu}) {
      for (const DType dtype : {DType::kF32, DType::kBF16}) {
        const Problem p =
            make_problem({{1, 5, 7}, {2, 3, 3}, {1, 4, 4}, {1, 9, 2}}, 5, sharing, fusion);
        const Share share = groups_of(p, ranks->ranks());
        const Pass mine(p, share, dtype, {.sharing = sharing, .ranks = ranks});
        const Pass all(p, whole(p), dtype, {.sharing = sharing});
        mine.add_up(*ranks);
        expect_same_rows(mine.y, all.y, share);
        expect_same_rows(mine.x.grad(), all.x.grad(), share);
        if (fusion == Fusion::kAddRelu)
          expect_same_rows(mine.residual.grad(), all.residual.grad(), share);
        expect_identical(mine.gamma.grad(), all.gamma.grad());
        expect_identical(mine.beta.grad(), all.beta.grad());
        expect_identical(mine.running_mean, all.running_mean);
        expect_identical(mine.running_var, all.running_var);
      }
    }
  }
}

/// `counts` rows per rank, `per_group` ranks per group, against the definition of the whole.
void expect_definition(const std::shared_ptr<Communicator>& ranks,
                       const std::vector<std::int64_t>& counts, int per_group,
                       NormSharing sharing) {
  std::vector<MapSize> groups;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (i % static_cast<std::size_t>(per_group) == 0) groups.push_back({0, 1, 1});
    groups.back().pictures += counts[i];
  }
  const Share share = rows_by_rank(counts, ranks->ranks().rank);
  for (const Fusion fusion : {Fusion::kNone, Fusion::kRelu, Fusion::kAddRelu}) {
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      SCOPED_TRACE(message(fusion == Fusion::kNone ? "plain, " : "fused, ", dtype));
      const Problem p = smooth_problem(groups, sharing, fusion);
      const Pass mine(p, share, dtype,
                      {.sharing = sharing, .ranks = ranks, .ranks_per_group = per_group});
      mine.add_up(*ranks);
      const std::int64_t all = rows_of(groups);
      expect_close(mine.y, rows(p, forward(p), share), all);
      expect_close(mine.x.grad(), rows(p, numeric(p, &Problem::x), share), all, dtype, 4);
      if (fusion == Fusion::kAddRelu)
        expect_close(mine.residual.grad(), rows(p, numeric(p, &Problem::residual), share), 1,
                     dtype);
      expect_close(mine.gamma.grad(), numeric(p, &Problem::gamma), all);
      expect_close(mine.beta.grad(), numeric(p, &Problem::beta), all);
      for (std::int64_t c = 0; c < p.channels; ++c) {
        const Statistics s = statistics_of(p, c);
        const auto at = static_cast<std::size_t>(c);
        EXPECT_NEAR(values_of(mine.running_mean)[at], 0.9 * p.running_mean[at] + 0.1 * s.mean,
                    1e-5);
        EXPECT_NEAR(values_of(mine.running_var)[at], 0.9 * p.running_var[at] + 0.1 * s.running_var,
                    1e-5);
      }
    }
  }
}

RANKS_TEST(BatchNormRanks, PartsOfAGroupAreOneGroup, 2) {
  const auto ranks = join();
  for (const std::vector<std::int64_t>& counts :
       std::vector<std::vector<std::int64_t>>{{3, 1}, {4, 0}, {0, 4}, {1, 1}, {7, 12}})
    for (const NormSharing sharing : {NormSharing::kNaive, NormSharing::kSync})
      expect_definition(ranks, counts, 2, sharing);
}

// Four ranks share two groups; a rank may have nothing.
RANKS_TEST(BatchNormRanks, PartsOfSeveralGroups, 4) {
  const auto ranks = join();
  for (const NormSharing sharing : {NormSharing::kNaive, NormSharing::kSync}) {
    expect_definition(ranks, {3, 1, 4, 0}, 2, sharing);
    expect_definition(ranks, {1, 1, 9, 2}, 2, sharing);
  }
}

// In f32, sums of squares would keep no digit of these deviations.
RANKS_TEST(BatchNormRanks, AFarMeanKeepsTheDeviation, 2) {
  const auto ranks = join();
  Problem p = make_problem({{24, 1, 1}}, 2, NormSharing::kSync, Fusion::kNone);
  for (double& value : p.x) value = 1048576 + std::round(value * 4) / 4;
  const Share share = rows_by_rank({17, 7}, ranks->ranks().rank);
  const Pass mine(p, share, DType::kF32,
                  {.sharing = NormSharing::kSync, .ranks = ranks, .ranks_per_group = 2});
  // Rounding of mean to f32, 1/16 of a deviation here, is the ordinary batch norm's too.
  const Pass all(p, whole(p), DType::kF32, {.sharing = NormSharing::kSync});
  for (std::size_t i = 0; i < values_of(mine.y).size(); ++i)
    EXPECT_NEAR(values_of(mine.y)[i], rows(p, values_of(all.y), share)[i], 1e-5);
  for (const double var : values_of(mine.running_var)) EXPECT_LT(var, 4);
}

// NaN on one rank is everyone's in its group, and in no other.
RANKS_TEST(BatchNormRanks, NaNReachesTheGroupAndNoOther, 4) {
  const auto ranks = join();
  const int rank = ranks->ranks().rank;
  const auto group = ranks->split(rank / 2);
  const Problem p = make_problem({{8, 1, 1}}, 3, NormSharing::kSync, Fusion::kRelu);
  Problem mine = p;
  if (rank == 3) mine.x.assign(mine.x.size(), std::numeric_limits<double>::quiet_NaN());
  const Pass pass(mine, rows_by_rank({5, 3}, rank % 2), DType::kF32,
                  {.sharing = NormSharing::kSync, .ranks = group, .ranks_per_group = 2});
  for (const double y : values_of(pass.y)) EXPECT_EQ(std::isnan(y), rank >= 2);
}

}  // namespace
}  // namespace invp::testing
