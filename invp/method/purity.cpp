#include "invp/method/purity.h"

#include <algorithm>
#include <vector>

#include "engine/core/stop.h"

namespace invp {

namespace {

// Anchors per block, so that the lists of a block take 16 MB at most. An anchor has 84 entries with
// k = 4 and l = 3.
std::int64_t anchors_at_a_time(const NeighborGraph& graph, int steps) {
  constexpr std::int64_t kEntries = 1 << 22;
  std::int64_t width = 0;
  std::int64_t reached = 1;
  for (int step = 0; step < steps && width < kEntries; ++step) {
    reached *= graph.neighbors();
    width += reached;
  }
  return std::max<std::int64_t>(1, kEntries / width);
}

struct Count {
  std::int64_t pairs = 0;
  std::int64_t same = 0;
  double per_cent() const {
    return pairs == 0 ? 0 : 100 * static_cast<double>(same) / static_cast<double>(pairs);
  }
};

void count(const Tensor& lists, std::span<const std::int32_t> anchors,
           std::span<const std::int64_t> labels, Count& total) {
  const Tensor host = lists.to(kCpu);
  const std::span<const std::int32_t> members = host.span<std::int32_t>();
  const auto width = static_cast<std::size_t>(host.dim(1));
  for (std::size_t i = 0; i < anchors.size(); ++i) {
    const std::int64_t own = labels[static_cast<std::size_t>(anchors[i])];
    for (const std::int32_t member : members.subspan(i * width, width)) {
      if (member < 0 || member == anchors[i]) continue;
      const std::int64_t label = labels[static_cast<std::size_t>(member)];
      if (label < 0) continue;
      ++total.pairs;
      total.same += label == own ? 1 : 0;
    }
  }
}

void add_up(Communicator& ranks, Count& all, Count& hard) {
  const Tensor sums =
      Tensor::from(std::vector<std::int64_t>{all.pairs, all.same, hard.pairs, hard.same}, {4});
  ranks.all_reduce("purity", sums);
  const auto sum = sums.span<std::int64_t>();
  all = {.pairs = sum[0], .same = sum[1]};
  hard = {.pairs = sum[2], .same = sum[3]};
}

std::vector<std::int32_t> spread_anchors(std::span<const std::int64_t> labels, std::int64_t most) {
  const std::int64_t images = std::ssize(labels);
  const std::int64_t wanted = std::min(images, most);
  std::vector<std::int32_t> anchors;
  for (std::int64_t i = 0; i < wanted; ++i) {
    const std::int64_t row = i * images / wanted;
    if (labels[static_cast<std::size_t>(row)] >= 0)
      anchors.push_back(static_cast<std::int32_t>(row));
  }
  return anchors;
}

/// Blocks of them go round the ranks.
std::vector<std::int32_t> own_anchors(const std::vector<std::int32_t>& anchors,
                                      std::size_t at_a_time, const Ranks& here) {
  std::vector<std::int32_t> own;
  for (std::size_t i = 0; i < anchors.size(); ++i) {
    if (i / at_a_time % static_cast<std::size_t>(here.size) == static_cast<std::size_t>(here.rank))
      own.push_back(anchors[i]);
  }
  return own;
}

bool one_class(std::span<const std::int64_t> labels) {
  std::int64_t first = -1;
  for (const std::int64_t label : labels) {
    if (label < 0) continue;
    if (first >= 0 && label != first) return false;
    first = label;
  }
  return true;
}

}  // namespace

std::optional<Purity> positive_purity(const MemoryBank& bank, const NeighborGraph& graph,
                                      const ObjectiveConfig& config,
                                      std::span<const std::int64_t> labels,
                                      std::int64_t most_anchors, Communicator* ranks) {
  CHECK(std::ssize(labels) == bank.size() && graph.size() == bank.size(), "[purity] ",
        labels.size(), " labels and a graph of ", graph.size(), " images for a bank of ",
        bank.size());
  if (one_class(labels)) return std::nullopt;
  const std::vector<std::int32_t> anchors = spread_anchors(labels, most_anchors);
  const auto at_a_time = static_cast<std::size_t>(anchors_at_a_time(graph, config.steps));
  Count all;
  Count hard;
  const Ranks here = ranks == nullptr ? Ranks{} : ranks->ranks();
  const std::vector<std::int32_t> own = own_anchors(anchors, at_a_time, here);
  const auto blocks = bank.rounds(std::ssize(own), static_cast<std::int64_t>(at_a_time));
  for (std::size_t round = 0; round < static_cast<std::size_t>(blocks); ++round) {
    check_stop();
    const std::size_t begin = std::min(round * at_a_time, own.size());
    const std::span<const std::int32_t> block =
        std::span(own).subspan(begin, std::min(at_a_time, own.size() - begin));
    const Tensor rows = Tensor::from(block, {std::ssize(block)}, bank.device());
    const Positives positives = discover_positives(bank.take(rows), rows, bank, graph, config);
    count(positives.all, block, labels, all);
    count(positives.hard, block, labels, hard);
  }
  if (ranks != nullptr) add_up(*ranks, all, hard);
  if (all.pairs == 0) return std::nullopt;
  return Purity{.positives = all.per_cent(), .hard_positives = hard.per_cent()};
}

}  // namespace invp
