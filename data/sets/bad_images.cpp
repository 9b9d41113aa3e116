#include "data/sets/bad_images.h"

#include <algorithm>
#include <utility>

#include "engine/core/error.h"

namespace invp {

BadImages::BadImages(std::string who, double max_share, std::int64_t images)
    : who_(std::move(who)), max_share_(max_share), images_(images) {
  CHECK(max_share >= 0 && max_share <= 1, who_, " the share of bad images is between 0 and 1, got ",
        max_share);
}

void BadImages::add(std::int64_t index, BadImage image) {
  const auto [known, is_new] = places_.try_emplace(index, all_.size());
  if (is_new) {
    indices_.push_back(index);
    all_.push_back(std::move(image));
  } else {
    all_[known->second] = std::move(image);
  }
}

// A reason that is known begins with what stands after the name (": cut short"), or is all of it.
void BadImages::remember(const std::vector<BadPlace>& places,
                         const std::function<std::string(std::int64_t)>& name_of) {
  for (const auto& [index, reason] : places) {
    const std::string name = name_of(index);
    add(index, {name, reason.empty() ? name + ": could not be read before the run was resumed"
                      : reason.front() == ':' ? name + reason
                                              : reason});
  }
}

std::vector<BadPlace> BadImages::places() const {
  std::vector<BadPlace> places;
  for (std::size_t i = 0; i < all_.size(); ++i) {
    const auto& [name, reason] = all_[i];
    const bool named = reason.starts_with(name + ':');
    places.push_back({indices_[i], named ? reason.substr(name.size()) : reason});
  }
  return places;
}

void BadImages::check() const {
  if (static_cast<double>(all_.size()) <= max_share_ * static_cast<double>(images_)) return;
  constexpr std::size_t kShown = 3;
  std::string shown;
  for (std::size_t i = 0; i < std::min(all_.size(), kShown); ++i) shown += "\n  " + all_[i].reason;
  fail(who_, ' ', all_.size(), " of ", images_, " images are bad, more than the share of ",
       max_share_, " allowed; repair or remove them (invp data check lists all), or raise ",
       "--max-bad-share:", shown);
}

std::string left_out_line(const std::vector<BadImage>& bad, std::int64_t images,
                          const std::string& what) {
  return message(
      bad.size(), " of ", images, ' ', what, " could not be read and ",
      bad.size() == 1 ? "is left out: " : "are left out, the first: ", bad.front().reason);
}

}  // namespace invp
