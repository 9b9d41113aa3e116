#include "invp/report/html/anchors.h"

#include <algorithm>
#include <set>

#include "engine/core/error.h"
#include "invp/report/html/html.h"

namespace invp {

namespace {

// Width and height in pixels, about as shown on the screen.
constexpr int kSmall = 56;
constexpr int kLarge = 96;

}  // namespace

bool has_classes(const Dataset& dataset) {
  return dataset.classes().size() > 1;
}

std::vector<std::int64_t> sample_anchors(const Dataset& dataset, int count) {
  const std::int64_t images = dataset.size();
  const std::int64_t wanted = std::min<std::int64_t>(count, images);
  std::vector<std::int64_t> anchors;
  std::set<std::int64_t> classes;
  for (std::int64_t i = 0; i < wanted; ++i) {
    const std::int64_t first = (2 * i + 1) * images / (2 * wanted);
    const std::int64_t end = (2 * i + 3) * images / (2 * wanted);
    std::int64_t image = first;
    while (image < std::min(end, images) && classes.contains(dataset.label(image))) ++image;
    if (image == std::min(end, images)) image = first;
    classes.insert(dataset.label(image));
    anchors.push_back(image);
  }
  return anchors;
}

AnchorCards::AnchorCards(const RunParts& first, int anchors)
    : dataset_(*first.train),
      anchors_(sample_anchors(*first.train, anchors)),
      small_(*first.train, kSmall),
      large_(*first.train, kLarge) {
  add(first);
}

bool AnchorCards::same_data(const RunParts& run) const {
  const Dataset& other = *run.train;
  return other.kind() == dataset_.kind() && other.size() == dataset_.size() &&
         other.classes() == dataset_.classes() &&
         std::ranges::all_of(anchors_, [&](std::int64_t image) {
           return other.label(image) == dataset_.label(image) &&
                  other.name(image) == dataset_.name(image);
         });
}

std::string AnchorCards::class_name(std::int64_t image) const {
  if (!has_classes(dataset_)) return {};
  const std::int64_t label = dataset_.label(image);
  return label < 0 ? "unlabelled" : dataset_.classes()[static_cast<std::size_t>(label)];
}

std::string AnchorCards::tile(std::int64_t image, std::int64_t anchor, bool hard,
                              const std::string& caption) {
  const std::string name = class_name(image);
  const std::string what =
      message(name, name.empty() ? "" : ", ", "image ", image, hard ? ", hard positive" : "");
  std::string style = hard ? "hard" : "";
  if (!name.empty() && !same_class(image, anchor)) style += style.empty() ? "other" : " other";
  return message("<li", style.empty() ? "" : " class=\"" + style + "\"", "><img src=\"",
                 small_.uri(image), "\" alt=\"", html_escaped(what), "\" title=\"",
                 html_escaped(what), "\">",
                 caption.empty() ? "" : "<span>" + html_escaped(caption) + "</span>", "</li>\n");
}

std::string AnchorCards::cards(const Strip& strip) {
  std::string out;
  for (std::size_t i = 0; i < anchors_.size(); ++i) {
    const std::int64_t image = anchors_[i];
    std::string name = class_name(image);
    if (name.empty()) name = message("image ", image);
    out += message("<article class=\"card\">\n<figure class=\"anchor\"><img src=\"",
                   large_.uri(image), "\" alt=\"the anchor, image ", image, "\"><figcaption>",
                   html_escaped(name), "</figcaption></figure>\n<div>\n");
    for (const RunParts* run : runs_) out += strip(*run, i);
    out += "</div>\n</article>\n";
  }
  return out;
}

std::vector<AnchorCards> anchor_cards(const std::vector<RunParts>& runs, int anchors) {
  std::vector<AnchorCards> all;
  for (const RunParts& run : runs) {
    if (run.train == nullptr || !run.bank || run.train->size() == 0) continue;
    const auto same =
        std::ranges::find_if(all, [&](const AnchorCards& cards) { return cards.same_data(run); });
    if (same != all.end()) {
      same->add(run);
    } else {
      all.emplace_back(run, anchors);
    }
  }
  return all;
}

}  // namespace invp
