#include "data/load/detection_order.h"

#include <algorithm>
#include <numeric>
#include <span>
#include <utility>

#include "engine/core/error.h"
#include "engine/core/random.h"

namespace invp {

DetectionOrder::DetectionOrder(std::vector<Picture> pictures, const BatchPart& part,
                               std::int64_t pictures_per_group, std::uint64_t seed)
    : pictures_(std::move(pictures)),
      groups_(part.groups),
      first_group_(part.first),
      per_group_(pictures_per_group),
      seed_(seed) {
  CHECK(!pictures_.empty(), "[loader] no pictures to put in order");
  CHECK(groups_ >= 1 && pictures_per_group >= 1,
        "[loader] a batch has at least 1 group of 1 picture, got ", groups_, " of ",
        pictures_per_group);
  CHECK(part.first >= 0 && part.count >= 1 && part.first + part.count <= part.groups,
        "[loader] no groups ", part.first, " to ", part.first + part.count - 1, " of ", groups_);
  lanes_.resize(static_cast<std::size_t>(part.count));
}

void DetectionOrder::seek(std::int64_t iteration) {
  CHECK(iteration >= 0, "[loader] iterations count from 0, got ", iteration);
  if (per_group_ == 1) {  // no buckets: every group has taken one position an iteration
    for (Lane& lane : lanes_) lane.steps = iteration;
    iteration_ = iteration;
    return;
  }
  if (iteration < iteration_) {
    lanes_.assign(lanes_.size(), {});
    iteration_ = 0;
  }
  while (iteration_ < iteration) next();
}

std::vector<StreamPlace> DetectionOrder::next() {
  std::vector<StreamPlace> places;
  places.reserve(lanes_.size() * static_cast<std::size_t>(per_group_));
  std::int64_t group = first_group_;
  for (Lane& lane : lanes_) take_group(group++, lane, places);
  ++iteration_;
  forget_old();
  return places;
}

void DetectionOrder::take_group(std::int64_t group, Lane& lane, std::vector<StreamPlace>& places) {
  for (;;) {
    const std::int64_t position = group + groups_ * lane.steps++;
    const Picture& picture = pictures_[picture_at(position)];
    std::vector<StreamPlace>& bucket = lane.buckets[picture.wide ? 1 : 0];
    bucket.push_back({position, picture.row});
    if (std::ssize(bucket) < per_group_) continue;
    places.insert(places.end(), bucket.begin(), bucket.end());
    bucket.clear();
    return;
  }
}

std::size_t DetectionOrder::picture_at(std::int64_t position) {
  const std::int64_t count = std::ssize(pictures_);
  const auto [entry, is_new] = permutations_.try_emplace(position / count);
  std::vector<std::size_t>& order = entry->second;
  if (is_new) {
    order.resize(pictures_.size());
    std::iota(order.begin(), order.end(), 0);
    Random(seed_, Purpose::kOrder, static_cast<std::uint64_t>(position / count))
        .shuffle(std::span(order));
  }
  return order[static_cast<std::size_t>(position % count)];
}

/// Drops the permutations that every group of the part has left behind.
void DetectionOrder::forget_old() {
  const auto slowest = std::ranges::min_element(lanes_, {}, &Lane::steps);
  const std::int64_t needed = groups_ * slowest->steps / std::ssize(pictures_);
  permutations_.erase(permutations_.begin(), permutations_.lower_bound(needed));
}

}  // namespace invp
