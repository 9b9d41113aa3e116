#include "invp/run/run_ranks.h"

#include <bit>
#include <string>
#include <vector>

#include "engine/core/error.h"

namespace invp {

BatchPart share_of_rank(int groups, const Ranks& ranks) {
  if (ranks.size % groups == 0) {
    const int pieces = ranks.size / groups;
    return {.groups = groups,
            .first = ranks.rank / pieces,
            .count = 1,
            .piece = ranks.rank % pieces,
            .pieces = pieces};
  }
  CHECK(groups % ranks.size == 0, "--bn-groups ", groups, " cannot be shared by ", ranks.size,
        " ranks: one must be a multiple of the other, as --bn-groups ",
        (groups + ranks.size - 1) / ranks.size * ranks.size);
  const int each = groups / ranks.size;
  return {.groups = groups, .first = ranks.rank * each, .count = each};
}

StepTicket exchange_tickets(const RunRanks& ranks, const StepTicket& mine) {
  if (ranks.exchange) return ranks.exchange(mine);
  const Tensor sums = Tensor::from(
      std::vector<std::int64_t>{mine.images, mine.bad, mine.stop ? 1 : 0, mine.save ? 1 : 0}, {4});
  ranks.communicator->all_reduce("ticket", sums);
  const auto total = sums.span<std::int64_t>();
  return {.step = mine.step,
          .images = total[0],
          .bad = total[1],
          .stop = total[2] > 0,
          .save = total[3] > 0};
}

namespace {

/// Whether sums over this share are not a part of the tree that one rank adds up.
bool rounds_otherwise(const BatchPart& share) {
  return share.pieces > 1 || !std::has_single_bit(static_cast<unsigned>(share.count));
}

}  // namespace

std::string sharing_line(const RunRanks& ranks, const SharedStep& step) {
  const int size = ranks.communicator->ranks().size;
  const BatchPart first = share_of_rank(step.groups, {.rank = 0, .size = size});
  const std::int64_t share = first.rows(step.batch_size).count();
  std::string over;
  if (first.pieces > 1)
    over = step.groups == 1 ? " over all ranks" : message(" over ", first.pieces, " ranks each");
  if (step.norms != "local" && step.groups > 1)
    over += ", of common statistics (" + step.norms + ")";
  return message("batch ", step.batch_size, " = ", size, " ranks x ",
                 share * size == step.batch_size ? "" : "up to ", share, ' ', step.pictures, ", ",
                 step.groups, step.groups == 1 ? " group" : " groups", step.of, over, ", lr ",
                 step.learning_rate,
                 rounds_otherwise(first) ? ", rounded otherwise than on one rank" : "",
                 ranks.launched_by.empty() ? "" : ", launched by ", ranks.launched_by);
}

}  // namespace invp
