#include "invp/run/bad_of_ranks.h"

#include <algorithm>
#include <string>

#include "data/sets/bad_images.h"
#include "engine/comm/gather.h"

namespace invp {

std::vector<BadOfRank> bad_of_feed(BatchFeed& feed) {
  std::vector<BadOfRank> bad;
  const std::vector<BadPlace> places = feed.bad_places();
  for (std::size_t i = 0; i < places.size(); ++i)
    bad.emplace_back(places[i].index, feed.bad_images()[i]);
  return bad;
}

// Each is three texts: its number, its name, the reason.
std::vector<BadOfRank> gather_bad(Communicator& ranks, std::span<const BadOfRank> mine) {
  std::vector<std::string> texts;
  for (const auto& [index, image] : mine)
    texts.insert(texts.end(), {std::to_string(index), image.file, image.reason});
  std::vector<BadOfRank> all;
  for (const std::string& of_rank : gather_text(ranks, "unreadable images", packed(texts))) {
    const std::vector<std::string> given = unpacked(of_rank);
    for (std::size_t i = 0; i < given.size(); i += 3)
      all.push_back({std::stoll(given[i]), {given[i + 1], given[i + 2]}});
  }
  return all;
}

std::vector<BadImage> bad_of_evaluation(Communicator& ranks, std::span<const BadOfRank> mine,
                                        double max_share, std::int64_t images) {
  std::vector<BadOfRank> all = gather_bad(ranks, mine);
  std::ranges::sort(all, {}, &BadOfRank::first);
  BadImages accepted("[loader]", max_share, images);
  for (const auto& [index, image] : all) accepted.add(index, image);
  accepted.check();
  return accepted.all();
}

}  // namespace invp
