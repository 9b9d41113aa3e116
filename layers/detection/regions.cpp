#include "layers/detection/regions.h"

#include <algorithm>
#include <cstring>

#include "engine/ops/detection/match_boxes.h"

namespace invp {

namespace {

constexpr float kRecallOverlap = 0.5F;

/// Rows of a host tensor (n, 4).
void append_rows(std::vector<float>& to, const Tensor& boxes, std::int64_t count) {
  const float* const from = boxes.data<float>();
  to.insert(to.end(), from, from + 4 * count);
}

/// Counts a picture's objects, and those that one of the boxes is good for.
void count_found(const Tensor& boxes, const Tensor& of_picture, RegionCounts& counts) {
  const Tensor overlaps = box_iou(of_picture, boxes);
  counts.objects += of_picture.dim(0);
  for (std::int64_t i = 0; i < of_picture.dim(0); ++i) {
    const float* const row = overlaps.data<float>() + i * boxes.dim(0);
    if (std::any_of(row, row + boxes.dim(0), [](float iou) { return iou >= kRecallOverlap; }))
      ++counts.found;
  }
}

/// Lists of a group on the host.
struct HostLists {
  Tensor boxes, counts, objects, classes, object_counts;

  HostLists(const Proposals& proposals, const GroupPictures& pictures)
      : boxes(proposals.boxes.to(kCpu)),
        counts(proposals.counts.to(kCpu)),
        objects(pictures.objects.to(kCpu)),
        classes(pictures.classes.to(kCpu)),
        object_counts(pictures.counts.to(kCpu)) {}

  static Tensor list(const Tensor& of, std::int64_t picture, std::int64_t count) {
    const std::int64_t longest = of.dim(1);
    return of.slice(picture, picture + 1).view({longest, of.dim(2)}).slice(0, count);
  }
  Tensor proposals_of(std::int64_t picture) const {
    return list(boxes, picture, counts.data<std::int32_t>()[picture]);
  }
  Tensor objects_of(std::int64_t picture) const {
    return list(objects, picture, object_counts.data<std::int32_t>()[picture]);
  }
};

/// The regions drawn of one picture.
PictureRegions sampled(const HostLists& lists, std::int64_t picture, const DetectorConfig& config,
                       const Sampler& sampler, SampleParams params) {
  const Tensor proposals = lists.proposals_of(picture);
  const Tensor objects = lists.objects_of(picture);
  std::vector<float> corners;
  append_rows(corners, proposals, proposals.dim(0));
  append_rows(corners, objects, objects.dim(0));
  const Tensor boxes = Tensor::from(corners, {proposals.dim(0) + objects.dim(0), 4});
  const std::int64_t longest = lists.objects.dim(1);
  const Matches matches = match_boxes(
      lists.objects.slice(picture, picture + 1), lists.object_counts.slice(picture, picture + 1),
      boxes, {},
      {.low = config.regions.foreground, .high = config.regions.foreground, .low_quality = false});
  const Samples samples = sampler(matches.labels, params);

  std::vector<std::int32_t> labels;
  std::vector<float> region_boxes, region_objects;
  for (const std::int32_t row : samples.rows.span<std::int32_t>()) {
    if (row < 0) continue;
    const std::int32_t object = matches.objects.data<std::int32_t>()[row];
    const bool foreground = matches.labels.data<std::int32_t>()[row] > 0;
    labels.push_back(foreground ? lists.classes.data<std::int32_t>()[picture * longest + object]
                                : config.classes);
    append_rows(region_boxes, boxes.slice(row, row + 1), 1);
    append_rows(
        region_objects,
        lists.objects.slice(picture, picture + 1).view({longest, 4}).slice(object, object + 1), 1);
  }
  const auto count = std::ssize(labels);
  return {.boxes = Tensor::from(region_boxes, {count, 4}),
          .labels = Tensor::from(labels, {count}),
          .objects = Tensor::from(region_objects, {count, 4})};
}

/// Collects what regions_of returns.
class Collector {
 public:
  explicit Collector(const DetectorConfig& config) : config_(config) {}

  void begin_group() { counts_.push_back(0); }

  void add(std::int64_t picture, const PictureRegions& regions) {
    const Tensor deltas = encode_boxes(regions.boxes, regions.objects, config_.regions.weights);
    for (std::int64_t i = 0; i < regions.boxes.dim(0); ++i) {
      const std::int32_t label = regions.labels.data<std::int32_t>()[i];
      const bool foreground = label < config_.classes;
      boxes_.push_back(static_cast<float>(picture));
      append_rows(boxes_, regions.boxes.slice(i, i + 1), 1);
      labels_.push_back(label);
      columns_.push_back(foreground ? 4 * label : -1);
      if (foreground) append_rows(targets_, deltas.slice(i, i + 1), 1);
      if (!foreground) targets_.insert(targets_.end(), 4, 0.0F);
      foreground_ += foreground ? 1 : 0;
    }
    counts_.back() += regions.boxes.dim(0);
  }

  Regions finish(Device device) const {
    const auto count = std::ssize(labels_);
    return {.boxes = {.boxes = Tensor::from(boxes_, {count, 5}).to(device), .counts = counts_},
            .labels = Tensor::from(labels_, {count}).to(device),
            .targets = Tensor::from(targets_, {count, 4}).to(device),
            .columns = Tensor::from(columns_, {count}).to(device),
            .counts = {.regions = count, .foreground = foreground_}};
  }

 private:
  const DetectorConfig& config_;
  std::vector<float> boxes_, targets_;
  std::vector<std::int64_t> labels_, counts_;
  std::vector<std::int32_t> columns_;
  std::int64_t foreground_ = 0;
};

}  // namespace

Regions select_regions(const std::vector<Proposals>& proposals,
                       const std::vector<GroupPictures>& pictures, const DetectorConfig& config,
                       const Sampler& sampler, const SampleAddress& address, Device device) {
  SampleParams params{.count = config.regions.samples,
                      .most_positives = static_cast<std::int64_t>(config.regions.samples *
                                                                  config.regions.most_positives),
                      .seed = address.seed,
                      .purpose = Purpose::kRegionSample,
                      .step = address.step,
                      .first_picture = address.first_picture};
  std::vector<std::vector<PictureRegions>> chosen;
  RegionCounts counts;
  for (std::size_t g = 0; g < pictures.size(); ++g) {
    const HostLists lists(proposals[g], pictures[g]);
    chosen.emplace_back();
    for (std::int64_t picture = 0; picture < lists.counts.numel(); ++picture) {
      chosen.back().push_back(sampled(lists, picture, config, sampler, params));
      count_found(lists.proposals_of(picture), lists.objects_of(picture), counts);
      ++params.first_picture;
    }
  }
  Regions regions = regions_of(chosen, config, device);
  regions.counts.objects = counts.objects;
  regions.counts.found = counts.found;
  return regions;
}

Regions regions_of(const std::vector<std::vector<PictureRegions>>& of_groups,
                   const DetectorConfig& config, Device device) {
  Collector collector(config);
  for (const std::vector<PictureRegions>& pictures : of_groups) {
    collector.begin_group();
    for (std::size_t i = 0; i < pictures.size(); ++i)
      collector.add(static_cast<std::int64_t>(i), pictures[i]);
  }
  return collector.finish(device);
}

}  // namespace invp
