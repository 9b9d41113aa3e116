#include "invp/protocols/detection/detect_task.h"

#include <algorithm>
#include <bit>
#include <nlohmann/json.hpp>

#include "engine/autograd/node.h"
#include "engine/core/hash.h"
#include "engine/ops/basic/elementwise.h"
#include "invp/protocols/detection/detect_set.h"
#include "invp/protocols/detection/detector_batch.h"
#include "invp/run/same_on_ranks.h"
#include "layers/detection/find_detector.h"
#include "layers/exchange.h"
#include "layers/in_groups.h"

namespace invp {

namespace {

constexpr std::string_view kModel = "model.";
// The batches of precise norms are drawn by a stream of their own (detectron2's second loader).
constexpr std::uint64_t kPreciseSeed = 0x707265636973656E;

Sgd make_optimizer(const DetectConfig& config, FasterRcnn& detector) {
  Sgd::Group weights, norms;
  norms.hyper = {.lr = 1, .momentum = config.momentum};
  weights.hyper = norms.hyper;
  weights.hyper.weight_decay = config.weight_decay;
  const std::vector<BatchNorm2d*> all = detector.norms();
  for (const NamedTensor& item : detector.parameters()) {
    const bool of_norm = std::ranges::any_of(all, [&](const BatchNorm2d* norm) {
      return norm->weight().same_as(item.tensor) || norm->bias().same_as(item.tensor);
    });
    (of_norm ? norms : weights).parameters.push_back({item.name, item.tensor});
  }
  return Sgd({std::move(weights), std::move(norms)});
}

std::vector<Tensor> learning_of(const FasterRcnn& detector) {
  std::vector<Tensor> learning;
  for (const NamedTensor& item : detector.parameters()) learning.push_back(item.tensor);
  return learning;
}

/// The running statistics, put back where work on them is given up.
class SavedBuffers {
 public:
  explicit SavedBuffers(const Module& module) : buffers_(module.buffers()) {
    for (const NamedTensor& item : buffers_) copies_.push_back(item.tensor.clone());
  }
  ~SavedBuffers() {
    for (std::size_t i = 0; i < copies_.size(); ++i) buffers_[i].tensor.copy_from(copies_[i]);
  }
  SavedBuffers(const SavedBuffers&) = delete;
  SavedBuffers& operator=(const SavedBuffers&) = delete;
  /// The work is done.
  void forget() { copies_.clear(); }

 private:
  std::vector<NamedTensor> buffers_;
  std::vector<Tensor> copies_;
};

}  // namespace

IdentityEntry training_boxes(const DetectionSet& set) {
  Hash hash;
  for (const BoxedPicture& picture : set.pictures) {
    hash.add_text(picture.name);
    for (const std::int64_t number : {picture.id, static_cast<std::int64_t>(picture.width),
                                      static_cast<std::int64_t>(picture.height), picture.objects})
      hash.add(static_cast<std::uint64_t>(number));
  }
  for (const BoxedObject& object : set.objects) {
    for (const double side : {object.box.x, object.box.y, object.box.width, object.box.height})
      hash.add(std::bit_cast<std::uint64_t>(side));
    hash.add(static_cast<std::uint64_t>(object.label));
  }
  return {.name = "training pictures",
          .value = message(set.pictures.size(), ", checksum ", hash.hex()),
          .option = false};
}

Metadata detector_facts(const DetectionSet& set, const DetectConfig& config) {
  return {{kDetectorClasses, nlohmann::json(set.classes).dump()},
          {kTestSize, message(config.test_short_edge, ",", config.loader.longest)}};
}

DetectTask::DetectTask(const DetectConfig& config, FasterRcnn& detector, const DetectionSet& train,
                       const DetectionSet* test)
    : SgdTask(make_optimizer(config, detector), {detect_rate(config), detect_rate(config)}, 7,
              detector.device()),
      config_(config),
      detector_(detector),
      train_(train),
      test_(test),
      learning_(learning_of(detector)) {
  detector_.train(true);
}

std::vector<std::string> DetectTask::loss_names() const {
  return {"loss",         "loss_rpn_cls", "loss_rpn_loc", "loss_cls",
          "loss_box_reg", "foreground",   "recall"};
}

/// Batch norms share their statistics over all groups, whoever computes them, or not at all.
GroupNorms DetectTask::norms(float momentum) const {
  return {.sharing = config_.norms,
          .momentum = momentum,
          .ranks = ranks().alone() ? nullptr : config_.run.ranks.communicator};
}

SampleAddress DetectTask::samples(std::uint64_t seed, std::int64_t step) const {
  return {.seed = seed,
          .step = static_cast<std::uint64_t>(step),
          .first_picture = static_cast<std::uint64_t>(config_.loader.part().first *
                                                      config_.loader.pictures_per_group)};
}

Tensor DetectTask::losses_with_gradients(const Batch& batch, const Progress& progress) {
  DetectionLosses losses =
      detector_.losses(detector_input(batch.groups, norms(GroupNorms{}.momentum), device()),
                       samples(config_.loader.seed, progress.step));
  const Tensor all = Tensor::empty({7}, DType::kF32, device());
  const Tensor sum =
      add(add(losses.objectness, losses.rpn_boxes), add(losses.classes, losses.boxes));
  const auto per_cent = [&](double share) {
    return Tensor::full({1}, static_cast<float>(100 * share), device());
  };
  std::int64_t at = 0;
  for (const Tensor& part :
       {sum, losses.objectness, losses.rpn_boxes, losses.classes, losses.boxes,
        per_cent(losses.counts.foreground_share()), per_cent(losses.counts.recall())}) {
    all.slice(at, at + 1).copy_from(part.detach().view({1}));
    ++at;
  }
  FasterRcnn::backward(std::move(losses), static_cast<std::size_t>(config_.loader.groups));
  sum_gradients_over_ranks(ranks(), learning_);
  return all;
}

void DetectTask::finish_training(const PhaseProgress& progress) {
  if (config_.precise_batches == 0) return;
  DetectionLoaderOptions options = config_.loader;
  options.seed ^= kPreciseSeed;
  DetectionBatches batches(train_, options);
  batches.start(0);
  SavedBuffers before(detector_);
  PreciseNorm precise(detector_.norms());
  const std::int64_t tracked = detector_.batches_tracked();
  const NoGrad no_grad;
  detector_.train(true);
  for (int i = 0; i < config_.precise_batches; ++i) {
    progress("precise batch norm", i, config_.precise_batches);
    detector_.losses(detector_input(batches.next().groups, norms(1), device()),
                     samples(options.seed, i));
    precise.add();
  }
  progress("precise batch norm", config_.precise_batches, config_.precise_batches);
  precise.finish(config_.precise_rule);
  // Numbers of values are those of the first group, which rank 0 has.
  share_statistics(ranks(), detector_);
  before.forget();
  detector_.set_batches_tracked(tracked);
}

/// Rank 0 judges, and writes what was found.
AveragePrecision DetectTask::judged(const Detections& detections) const {
  AveragePrecision judged;
  if (config_.run.ranks.first()) {
    write_detections(config_.run.out / "detections", *test_, detections);
    judged = usual_precision(*test_, detections);
  }
  const Tensor figures = Tensor::from(std::vector{judged.ap, judged.ap50, judged.ap75}, {3});
  ranks().broadcast("average precision", figures, 0);
  const auto figure = figures.span<double>();
  return {.ap = figure[0], .ap50 = figure[1], .ap75 = figure[2]};
}

Evaluation DetectTask::evaluate(const PhaseProgress& progress) {
  if (test_ == nullptr) return {};
  if (config_.norms == NormSharing::kLocal) share_statistics(ranks(), detector_);
  const FoundInSet found = detect_set(
      detector_, *test_,
      {.short_edge = config_.test_short_edge,
       .longest = config_.loader.longest,
       .decode = config_.loader.decode,
       .max_bad_share = config_.max_bad_share},
      [&](std::int64_t done, std::int64_t total) { progress("detection", done, total); }, ranks());
  detector_.train(true);
  const AveragePrecision precision = judged(found.detections);
  return {.measures = {{"ap50", precision.ap50}, {"ap", precision.ap}, {"ap75", precision.ap75}},
          .images = std::ssize(test_->pictures),
          .bad = found.bad};
}

std::vector<Measure> DetectTask::after_epoch() {
  check_same_on_ranks(ranks(), "weights", learning_);
  return {};
}

TensorFile DetectTask::state() const {
  TensorFile file;
  for (auto& [name, tensor] : pytorch_state(detector_, detector_.batches_tracked()).tensors)
    file.tensors.emplace_back(std::string(kModel) + name, tensor);
  return file;
}

void DetectTask::load_state(const TensorFile& state, const std::string& origin) {
  const auto count = load_pytorch_state(detector_, with_prefix(state, kModel), origin);
  detector_.set_batches_tracked(count.value_or(0));
}

}  // namespace invp
