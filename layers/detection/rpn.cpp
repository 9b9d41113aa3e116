#include "layers/detection/rpn.h"

#include <cmath>
#include <cstring>
#include <utility>

#include "engine/autograd/node.h"
#include "engine/ops/basic/cast.h"
#include "engine/ops/basic/elementwise.h"
#include "engine/ops/basic/reshape.h"
#include "engine/ops/detection/anchor_targets.h"
#include "engine/ops/detection/match_boxes.h"
#include "engine/ops/detection/nms.h"
#include "engine/ops/detection/smooth_l1.h"
#include "engine/ops/detection/top_scores.h"
#include "engine/ops/loss/bce_with_logits.h"
#include "layers/detection/anchors.h"
#include "layers/detection/group_losses.h"

namespace invp {

namespace {

constexpr double kDeviation = 0.01;  // of the first weights (detectron2's StandardRPNHead)

/// x once per picture: (n, 4) -> (N n, 4).
Tensor repeated(const Tensor& x, std::int64_t times) {
  if (times == 1) return x;
  const Tensor all = Tensor::empty({times * x.dim(0), x.dim(1)}, x.dtype(), x.device());
  for (std::int64_t i = 0; i < times; ++i) all.slice(i * x.dim(0), (i + 1) * x.dim(0)).copy_from(x);
  return all;
}

/// A group's part of an output, f32, with one row per anchor.
Tensor rows_of_group(const MapGroups& output, std::size_t group, std::int64_t width) {
  std::int64_t first = 0;
  for (std::size_t g = 0; g < group; ++g) first += output.sizes[g].rows();
  const std::int64_t rows = output.sizes[group].rows();
  const Tensor part = slice_rows(output.rows, first, first + rows);
  const std::int64_t anchors = rows * output.channels() / width;
  return cast(reshape(part, width == 1 ? Shape{anchors} : Shape{anchors, width}), DType::kF32);
}

}  // namespace

Rpn::Rpn(std::int64_t channels, const RpnConfig& config, Initializer& init)
    : config_(config),
      conv_(channels, channels, 3, kDeviation, init),
      objectness_(channels, config.anchors.count(), 1, kDeviation, init),
      deltas_(channels, 4 * config.anchors.count(), 1, kDeviation, init) {
  add_child("conv", conv_);
  add_child("objectness", objectness_);
  add_child("deltas", deltas_);
}

RpnOutput Rpn::forward(const MapGroups& features) const {
  const MapGroups hidden = conv_.forward(features);
  const MapGroups x = hidden.with(relu(hidden.rows));
  return {.logits = objectness_.forward(x), .deltas = deltas_.forward(x)};
}

Tensor Rpn::anchors_of(const MapSize& size, Device device) const {
  return grid_anchors(config_.anchors, size.height, size.width, DetectorConfig::kStride).to(device);
}

RpnLosses Rpn::losses(const RpnOutput& output, const std::vector<GroupPictures>& pictures,
                      const Sampler& sampler, const SampleAddress& address) const {
  std::vector<Tensor> objectness, boxes;
  std::uint64_t first_picture = address.first_picture;
  for (std::size_t g = 0; g < pictures.size(); ++g) {
    const GroupPictures& of = pictures[g];
    const std::int64_t count = of.counts.numel();
    const Tensor anchors = anchors_of(output.logits.sizes[g], of.counts.device());
    const Matches matches = match_boxes(of.objects, of.counts, anchors, {}, {});
    const Samples samples = sampler(
        matches.labels,
        {.count = config_.samples,
         .most_positives = static_cast<std::int64_t>(config_.samples * config_.most_positives),
         .seed = address.seed,
         .purpose = Purpose::kAnchorSample,
         .step = address.step,
         .first_picture = first_picture});
    first_picture += static_cast<std::uint64_t>(count);
    const std::int64_t all = count * anchors.dim(0);
    const AnchorTargets targets = anchor_targets(samples.labels.view({all}));
    const Tensor goals = encode_boxes(repeated(anchors, count),
                                      take_boxes(of.objects, matches.objects).view({all, 4}), {});
    const double divisor = static_cast<double>(config_.samples) * static_cast<double>(count);
    objectness.push_back(
        bce_with_logits(rows_of_group(output.logits, g, 1), targets.objectness, divisor));
    boxes.push_back(smooth_l1(rows_of_group(output.deltas, g, 4), goals, targets.columns,
                              {.beta = 0, .scale = 1 / divisor}));
  }
  return {.objectness = sum_over_groups(std::move(objectness)),
          .boxes = sum_over_groups(std::move(boxes))};
}

std::vector<Proposals> Rpn::proposals(const RpnOutput& output,
                                      const std::vector<GroupPictures>& pictures) const {
  const NoGrad no_grad;
  const std::int64_t before = training() ? config_.train_before : config_.test_before;
  const std::int64_t after = training() ? config_.train_after : config_.test_after;
  std::vector<Proposals> all;
  for (std::size_t g = 0; g < pictures.size(); ++g) {
    const MapSize& size = output.logits.sizes[g];
    const std::int64_t anchors = size.height * size.width * config_.anchors.count();
    const Tensor scores = rows_of_group(output.logits, g, 1).view({size.pictures, anchors});
    const Tensor deltas = rows_of_group(output.deltas, g, 4).view({size.pictures, anchors, 4});
    const Tensor best = top_scores(scores, std::min(before, anchors));
    const Candidates candidates = candidate_boxes(scores, deltas, anchors_of(size, scores.device()),
                                                  best, pictures[g].sizes, {});
    const Kept kept = nms(candidates.boxes, candidates.scores, {}, config_.overlap, after);
    all.push_back({.boxes = take_boxes(candidates.boxes, kept.rows),
                   .counts = kept.counts,
                   .candidates = candidates,
                   .rows = kept.rows});
  }
  return all;
}

}  // namespace invp
