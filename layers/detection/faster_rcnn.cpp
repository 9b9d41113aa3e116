#include "layers/detection/faster_rcnn.h"

#include <algorithm>
#include <cmath>

#include "engine/autograd/node.h"
#include "engine/comm/communicator.h"
#include "engine/ops/basic/cast.h"
#include "engine/ops/basic/elementwise.h"
#include "engine/ops/basic/reshape.h"
#include "engine/ops/basic/scale.h"
#include "engine/ops/detection/nms.h"
#include "engine/ops/detection/smooth_l1.h"
#include "engine/ops/groups/max_pool2d_groups.h"
#include "engine/ops/loss/cross_entropy.h"
#include "layers/detection/group_losses.h"

namespace invp {

namespace {

// Of the first weights (detectron2's FastRCNNOutputLayers).
constexpr double kClassDeviation = 0.01;
constexpr double kBoxDeviation = 0.001;

/// res2 to res4.
std::int64_t append_trunk(std::vector<std::unique_ptr<Bottleneck>>& blocks,
                          const DetectorConfig& config, std::int64_t channels, Initializer& init) {
  constexpr std::array kBlocks = {3, 4, 6};
  for (std::size_t stage = 0; stage < kBlocks.size(); ++stage) {
    const std::int64_t width = static_cast<std::int64_t>(config.width) << stage;
    channels =
        append_stage<Bottleneck>(blocks, channels, width, kBlocks[stage], stage == 0 ? 1 : 2, init);
  }
  return channels;
}

std::int64_t stem_channels(const DetectorConfig& config) {
  return config.stem > 0 ? config.stem : config.width;
}

/// What is reported of sums over groups: their means over the groups of all ranks.
std::array<Tensor, 4> means_of(const std::array<Tensor, 4>& sums, std::size_t groups,
                               Communicator* ranks) {
  std::array<Tensor, 4> means;
  const Device device = sums[0].device();
  const Tensor all = Tensor::empty({4}, DType::kF32, device);
  const auto part = [&](std::size_t i) {
    const auto row = static_cast<std::int64_t>(i);
    return all.slice(row, row + 1);
  };
  for (std::size_t i = 0; i < means.size(); ++i) part(i).copy_from(sums[i].detach().view({1}));
  if (ranks != nullptr) ranks->all_reduce("losses", all);
  const Tensor share = Tensor::full({1}, 1 / static_cast<float>(groups), device);
  for (std::size_t i = 0; i < means.size(); ++i) means[i] = scale(part(i), share);
  return means;
}

RegionCounts of_all_ranks(const RegionCounts& counts, Communicator* ranks, Device device) {
  if (ranks == nullptr) return counts;
  const Tensor sums = Tensor::from(
      std::vector<std::int64_t>{counts.regions, counts.foreground, counts.objects, counts.found},
      {4}, device);
  ranks->all_reduce("regions", sums);
  const Tensor host = sums.to(kCpu);
  const auto sum = host.span<std::int64_t>();
  return {.regions = sum[0], .foreground = sum[1], .objects = sum[2], .found = sum[3]};
}

/// One f32 row of logits -> probabilities; false if one is not finite.
bool softmax_row(const float* logits, std::int64_t count, std::vector<float>& to) {
  double largest = logits[0];
  for (std::int64_t i = 0; i < count; ++i)
    largest = std::max(largest, static_cast<double>(logits[i]));
  double sum = 0;
  for (std::int64_t i = 0; i < count; ++i) sum += std::exp(logits[i] - largest);
  if (!std::isfinite(sum)) return false;
  for (std::int64_t i = 0; i < count; ++i)
    to[static_cast<std::size_t>(i)] = static_cast<float>(std::exp(logits[i] - largest) / sum);
  return true;
}

bool finite(const float* values, std::int64_t count) {
  return std::all_of(values, values + count, [](float value) { return std::isfinite(value); });
}

}  // namespace

FasterRcnn::FasterRcnn(const DetectorConfig& config)
    : config_(config),
      init_(InitScheme::kImagenet, config.seed),
      stem_("conv1", "bn1",
            {.in = 3,
             .out = stem_channels(config),
             .kernel = 7,
             .params = {.stride = 2, .padding = 3}},
            init_),
      channels_(append_trunk(trunk_, config, stem_channels(config), init_)),
      regions_(channels_, 8LL * config.width, config.regions, init_),
      rpn_(channels_, config.rpn, init_),
      classes_(regions_.channels(), config.classes + 1, kClassDeviation, init_),
      deltas_(regions_.channels(), 4LL * config.classes, kBoxDeviation, init_) {
  add_part(stem_);
  constexpr std::array kBlocks = {3, 4, 6};
  std::size_t next = 0;
  for (std::size_t stage = 0; stage < kBlocks.size(); ++stage) {
    for (int i = 0; i < kBlocks[stage]; ++i)
      add_child(message("layer", stage + 1, ".", i), *trunk_[next++]);
  }
  for (std::size_t i = 0; i < regions_.blocks().size(); ++i)
    add_child(message("layer4.", i), *regions_.blocks()[i]);
  add_child("region_norm", regions_.norm());
  add_child("rpn", rpn_);
  add_child("predictor.classes", classes_);
  add_child("predictor.deltas", deltas_);
}

std::vector<BatchNorm2d*> FasterRcnn::norms() {
  std::vector<BatchNorm2d*> norms;
  each([&norms](const std::string&, Module& module) {
    if (auto* const norm = dynamic_cast<BatchNorm2d*>(&module)) norms.push_back(norm);
  });
  return norms;
}

MapGroups FasterRcnn::features(const MapGroups& images) {
  CHECK(images.channels() == 3, "[faster_rcnn] needs pictures of 3 channels, got ",
        images.rows.shape());
  if (training()) ++batches_tracked_;
  MapGroups x = stem_.forward_relu(images.with(cast(images.rows, compute_type_)));
  x = max_pool2d(x, {.kernel = 3, .stride = 2, .padding = 1});
  for (const auto& block : trunk_) x = block->forward(std::move(x));
  return x;
}

FasterRcnn::Prediction FasterRcnn::predict(const MapGroups& features, const GroupBoxes& boxes) {
  const MapGroups x = regions_.forward(features, boxes);
  return {.logits = classes_.forward(x).rows, .deltas = deltas_.forward(x).rows};
}

std::array<Tensor, 2> FasterRcnn::region_losses(const MapGroups& features, const Regions& regions) {
  const Prediction prediction = predict(features, regions.boxes);
  std::vector<Tensor> classes, boxes;
  std::int64_t first = 0;
  for (const std::int64_t count : regions.boxes.counts) {
    const std::int64_t end = first + count;
    classes.push_back(
        cross_entropy(slice_rows(prediction.logits, first, end), regions.labels.slice(first, end)));
    boxes.push_back(smooth_l1(slice_rows(prediction.deltas, first, end),
                              regions.targets.slice(first, end), regions.columns.slice(first, end),
                              {.beta = 0, .scale = 1 / static_cast<double>(count)}));
    first = end;
  }
  return {sum_over_groups(std::move(classes)), sum_over_groups(std::move(boxes))};
}

DetectionLosses FasterRcnn::losses(const DetectorInput& input, const SampleAddress& address,
                                   const Sampler& sampler) {
  Communicator* const ranks = input.images.norms.ranks.get();
  const std::size_t groups = input.pictures.size() *
                             (ranks == nullptr ? 1 : static_cast<std::size_t>(ranks->ranks().size));
  const MapGroups maps = features(input.images);
  const RpnOutput output = rpn_.forward(maps);
  const RpnLosses rpn = rpn_.losses(output, input.pictures, sampler, address);
  const Regions regions = select_regions(rpn_.proposals(output, input.pictures), input.pictures,
                                         config_, sampler, address, maps.rows.device());
  // Here, where the host has waited for the device anyway.
  const RegionCounts counts = of_all_ranks(regions.counts, ranks, maps.rows.device());
  const auto [classes, boxes] = region_losses(maps, regions);
  const auto means = means_of({rpn.objectness, rpn.boxes, classes, boxes}, groups, ranks);
  return {.objectness = means[0],
          .rpn_boxes = means[1],
          .classes = means[2],
          .boxes = means[3],
          .total = add(add(rpn.objectness, rpn.boxes), add(classes, boxes)),
          .counts = counts};
}

void FasterRcnn::backward(DetectionLosses losses, std::size_t groups) {
  Tensor total = std::exchange(losses.total, {});
  const Tensor seed = Tensor::full(total.shape(), 1 / static_cast<float>(groups), total.device());
  invp::backward(std::move(total), seed);
}

std::vector<FoundObject> FasterRcnn::detect(const DetectorInput& input) {
  CHECK(!training(), "[faster_rcnn] detect() is for evaluation");
  CHECK(input.images.groups() == 1 && input.images.sizes.front().pictures == 1,
        "[faster_rcnn] detect() takes one picture at a time");
  const NoGrad no_grad;
  const MapGroups maps = features(input.images);
  const Proposals proposals = rpn_.proposals(rpn_.forward(maps), input.pictures).front();
  const std::int64_t count = proposals.counts.to(kCpu).data<std::int32_t>()[0];
  const Tensor corners = proposals.boxes.to(kCpu).view({proposals.boxes.dim(1), 4}).slice(0, count);
  std::vector<float> rows;
  for (std::int64_t i = 0; i < count; ++i) {
    rows.push_back(0);
    rows.insert(rows.end(), corners.data<float>() + 4 * i, corners.data<float>() + 4 * i + 4);
  }
  const Tensor boxes = Tensor::from(rows, {count, 5}).to(device());
  const Prediction all{.logits = Tensor::empty({count, config_.classes + 1}),
                       .deltas = Tensor::empty({count, 4LL * config_.classes})};
  for (std::int64_t first = 0; first < count; first += config_.regions.at_once) {
    const std::int64_t end = std::min(count, first + config_.regions.at_once);
    const Prediction part =
        predict(maps, {.boxes = boxes.slice(first, end), .counts = {end - first}});
    all.logits.slice(first, end).copy_from(part.logits);
    all.deltas.slice(first, end).copy_from(part.deltas);
  }
  const Tensor size = input.pictures.front().sizes.to(kCpu);
  return chosen(all, corners, size.data<float>()[0], size.data<float>()[1]);
}

std::vector<FoundObject> FasterRcnn::chosen(const Prediction& prediction, const Tensor& proposals,
                                            float height, float width) const {
  const auto least = static_cast<float>(config_.regions.least_score);
  const std::int64_t classes = config_.classes;
  const Tensor decoded = decode_boxes(prediction.deltas, proposals, config_.regions.weights);
  std::vector<FoundObject> candidates;
  std::vector<float> scores(static_cast<std::size_t>(classes + 1));
  for (std::int64_t row = 0; row < proposals.dim(0); ++row) {
    const float* const boxes = decoded.data<float>() + row * 4 * classes;
    const float* const logits = prediction.logits.data<float>() + row * (classes + 1);
    if (!finite(boxes, 4 * classes) || !softmax_row(logits, classes + 1, scores)) continue;
    for (std::int64_t label = 0; label < classes; ++label) {
      const float score = scores[static_cast<std::size_t>(label)];
      if (!(score > least)) continue;
      const float* const box = boxes + 4 * label;
      candidates.push_back(
          {.box = {std::clamp(box[0], 0.0F, width), std::clamp(box[1], 0.0F, height),
                   std::clamp(box[2], 0.0F, width), std::clamp(box[3], 0.0F, height)},
           .label = static_cast<std::int32_t>(label),
           .score = score});
    }
  }
  if (candidates.empty()) return {};
  const auto count = std::ssize(candidates);
  const Tensor boxes = Tensor::empty({1, count, 4});
  const Tensor order = Tensor::empty({1, count});
  const Tensor labels = Tensor::empty({1, count}, DType::kI32);
  for (std::int64_t i = 0; i < count; ++i) {
    const FoundObject& object = candidates[static_cast<std::size_t>(i)];
    std::ranges::copy(object.box, boxes.data<float>() + 4 * i);
    order.data<float>()[i] = object.score;
    labels.data<std::int32_t>()[i] = object.label;
  }
  const Kept kept =
      nms(boxes, order, labels, config_.regions.overlap, config_.regions.most_detections);
  std::vector<FoundObject> best;
  for (std::int32_t i = 0; i < kept.counts.data<std::int32_t>()[0]; ++i)
    best.push_back(candidates[static_cast<std::size_t>(kept.rows.data<std::int32_t>()[i])]);
  return best;
}

std::vector<FoundObject> at_original_size(const std::vector<FoundObject>& objects,
                                          std::array<std::int64_t, 2> view,
                                          std::array<std::int64_t, 2> original) {
  const std::array<float, 2> limit = {static_cast<float>(original[1]),
                                      static_cast<float>(original[0])};
  const std::array<float, 2> factor = {limit[0] / static_cast<float>(view[1]),
                                       limit[1] / static_cast<float>(view[0])};
  std::vector<FoundObject> scaled;
  for (FoundObject object : objects) {
    for (std::size_t i = 0; i < 4; ++i)
      object.box[i] = std::clamp(object.box[i] * factor[i % 2], 0.0F, limit[i % 2]);
    if (object.box[2] > object.box[0] && object.box[3] > object.box[1]) scaled.push_back(object);
  }
  return scaled;
}

}  // namespace invp
