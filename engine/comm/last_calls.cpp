#include "engine/comm/last_calls.h"

#include <algorithm>
#include <cstdlib>
#include <map>

#include "engine/core/error.h"
#include "engine/core/text.h"

namespace invp {

namespace {

/// Ranks by what is said of them, in the order of their first.
class Groups {
 public:
  void add(int rank, const std::string& text) {
    const auto found =
        std::ranges::find(groups_, text, [](const auto& group) { return group.second; });
    if (found == groups_.end())
      groups_.push_back({{rank}, text});
    else
      found->first.push_back(rank);
  }
  const auto& all() const { return groups_; }

 private:
  std::vector<std::pair<std::vector<int>, std::string>> groups_;
};

std::string place_of(const CallsOfRank& rank) {
  if (!rank.heard.empty()) return "heard of last" + rank.heard;
  if (rank.told.calls.empty()) return "has made no call";
  const auto& [number, call] = rank.told.calls.back();
  return message(rank.told.in_call ? "in" : "after", " call ", number, ", ", call);
}

/// The first number under which ranks have made different calls; empty if they have made the same.
std::string first_difference(std::span<const CallsOfRank> ranks) {
  std::map<std::uint64_t, Groups> calls;
  for (const CallsOfRank& rank : ranks)
    for (const auto& [number, call] : rank.told.calls) calls[number].add(rank.rank, call);
  for (const auto& [number, groups] : calls) {
    if (groups.all().size() < 2) continue;
    std::vector<std::string> texts;
    for (const auto& [who, call] : groups.all())
      texts.push_back(message(ranks_in_words(who), " ", call));
    std::string line = message("the calls part at call ", number, ":");
    for (std::size_t i = 0; i < texts.size(); ++i) line += (i == 0 ? " " : "; ") + texts[i];
    return line + '\n';
  }
  return {};
}

}  // namespace

std::vector<std::string> LastCalls::fields() const {
  std::vector<std::string> fields = {in_call ? "1" : "0"};
  for (const auto& [number, call] : calls) {
    fields.push_back(std::to_string(number));
    fields.push_back(call);
  }
  return fields;
}

LastCalls LastCalls::of(const std::vector<std::string>& fields) {
  LastCalls told;
  told.in_call = !fields.empty() && fields[0] == "1";
  for (std::size_t i = 1; i + 1 < fields.size(); i += 2)
    told.calls.emplace_back(std::strtoull(fields[i].c_str(), nullptr, 10), fields[i + 1]);
  return told;
}

std::string side_by_side(std::span<const CallsOfRank> ranks) {
  Groups places;
  for (const CallsOfRank& rank : ranks) places.add(rank.rank, place_of(rank));
  std::string lines;
  for (const auto& [who, place] : places.all())
    lines += message(ranks_in_words(who), ": ", place, '\n');
  return lines + first_difference(ranks);
}

std::string ranks_in_words(const std::vector<int>& ranks) {
  std::vector<std::string> runs;
  for (std::size_t i = 0; i < ranks.size();) {
    std::size_t end = i + 1;
    while (end < ranks.size() && ranks[end] == ranks[end - 1] + 1) ++end;
    if (end - i > 2)
      runs.push_back(message(ranks[i], "-", ranks[end - 1]));
    else
      for (std::size_t k = i; k < end; ++k) runs.push_back(std::to_string(ranks[k]));
    i = end;
  }
  return (ranks.size() == 1 ? "rank " : "ranks ") + joined(runs);
}

}  // namespace invp
