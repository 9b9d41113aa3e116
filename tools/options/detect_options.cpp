#include "tools/options/detect_options.h"

#include <algorithm>

#include "engine/core/parallel.h"
#include "engine/core/text.h"
#include "layers/detection/pretrained.h"
#include "layers/exchange.h"
#include "layers/in_groups.h"
#include "tools/options/checkpoint_network.h"
#include "tools/options/data_options.h"

namespace invp::cli {

DetectionSet BoxDataOptions::open(const std::string& split) const {
  set_default_max_pixels(max_pixels);
  return open_boxes(path, {.format = format, .split = split});
}

std::string BoxDataOptions::judging_split(const std::string& asked) const {
  if (asked == "none") return {};
  if (asked != "auto") return asked;
  for (const char* const form : {"voc", "coco"}) {
    if (format != "auto" && format != form) continue;
    const std::vector<std::string> splits = box_splits(path, form);
    for (const char* const split : {"test", "val"}) {
      if (std::ranges::find(splits, split) != splits.end()) return split;
    }
  }
  return {};
}

void declare_box_data(Options& options, BoxDataOptions& data) {
  options.group("Data", Decides::kNothing);
  options.text("data", data.path, "PATH", "a VOCdevkit, COCO's folder or its annotations")
      .required();
  options.choice("format", data.format, {"auto", "voc", "coco"}, "form of the data set")
      .notes({"by what is at PATH", "PASCAL VOC's devkit", "COCO's JSON"})
      .common();
  options.integer("workers", data.workers, {0, 1024},
                  "threads that decode and resize; 0: one per CPU thread");
  declare_max_pixels(options, data.max_pixels);
}

void DetectOptions::declare(Options& options) {
  declare_start(options);
  declare_schedule(options);
  declare_pictures(options);
  declare_detector(options);
  declare_box_data(options, data_);
  options.text(
      "split", split_, "NAME",
      "what to train on: train, trainval, or of VOC 2007_trainval and others with + between "
      "them");
  options.text("test-split", test_split_, "NAME",
               "what to judge by; auto: test, else val; none: nothing");
  declare_device(options, device_);
  declare_run(options, run_);
  declare_ranks(options, ranks_, &device_);
}

void DetectOptions::declare_start(Options& options) {
  // Where the first weights lie does not matter, and once a run is resumed they are its own.
  options.main_group("Start", Decides::kWeights);
  options
      .text("checkpoint", checkpoint_, "FILE",
            "the ResNet-50 to start from: a checkpoint of ours, of MoCo or InvP, torchvision's "
            "weights, or detectron2's .pkl")
      .needed()
      .does_not_decide();
  declare_weights_prefix(options, weights_prefix_).does_not_decide();
  options.flag("from-scratch", from_scratch_,
               "start from random weights instead of a checkpoint, as a baseline");
  options.integer("width", network_.width, {1, 1024},
                  "channels after the first convolution, with --from-scratch");
}

void DetectOptions::declare_schedule(Options& options) {
  options.group("Training", Decides::kWeights);
  options.integer("batch-size", batch_size_, {1, 65536}, "pictures per iteration").common();
  options.integer("bn-groups", bn_groups_, {1, 1024},
                  "groups of pictures that are padded and measured together, as the paper's GPUs; "
                  "the batch is divided among them");
  options
      .choice<NormSharing>("norms", config_.norms, all_norm_sharings(),
                           "how batch norms share statistics over the groups")
      .notes({"not at all: each group has its own, and the first one's are kept",
              "the moments of all values",
              "plain averages of the groups' moments, as in the paper's runs"});
  declare_wire(options, wire_);
  options.does_not_decide();  // the other form is refused
  options.integer("iterations", config_.iterations, {1, 1e12}, "steps of training").common();
  options.number("lr", config_.learning_rate, {0, 1000}, "learning rate").common();
  options.integer("warmup", config_.warmup, {0, 1e12},
                  "iterations over which the rate grows to --lr in a straight line");
  options.number("warmup-factor", config_.warmup_factor, {0, 1},
                 "the first iteration's share of --lr");
  options.integers("drops", drops_, {1, 1e12}, "iterations from which the rate falls")
      .shown_default("72000,88000");
  options.number("lr-decay", config_.lr_decay, {0, 1, true}, "factor on the rate at each drop");
  options
      .integer("schedule-pictures", schedule_pictures_, {1, 65536},
               "pictures per iteration that the schedule is made for; with another --batch-size, "
               "what the command line does not give of --lr, --iterations, --warmup and --drops is "
               "fitted to it")
      .does_not_decide();
  options.number("momentum", config_.momentum, {0, 1}, "momentum of SGD");
  options.number("weight-decay", config_.weight_decay, {0, 1000},
                 "added to the gradient, times the weight; not on batch norms");
  options.integer("precise-bn", config_.precise_batches, {0, 1e6},
                  "training batches that the final statistics of batch norms come from; 0: the "
                  "moving averages stay");
  options
      .choice<PreciseNormRule>("precise-bn-rule", config_.precise_rule, all_precise_norm_rules(),
                               "how these batches are put together")
      .notes({"plain averages, as until May 2021", "by their numbers of values"});
  options.integer("report-every", config_.report_every, {1, 1e9},
                  "iterations from one line of the table, and checkpoint, to the next");
  options
      .integer("eval-every", config_.evaluate_every, {0, 1e12},
               "iterations between evaluations, in whole reports; 0: at the end alone")
      .does_not_decide();
}

void DetectOptions::declare_pictures(Options& options) {
  options.group("Pictures", Decides::kWeights);
  options
      .integers("min-sizes", min_sizes_, {16, 16384},
                "lengths of the shorter side, of which each picture draws one")
      .shown_default("480,512,...,800");
  options.integer("max-size", config_.loader.longest, {16, 32768},
                  "most pixels along the longer side");
  options
      .integer("test-size", config_.test_short_edge, {16, 16384},
               "length of the shorter side in evaluation")
      .does_not_decide();
  options.number("flip-prob", config_.loader.flip_probability, kProbability,
                 "share of the pictures that are mirrored");
  options.flag("keep-empty", config_.loader.keep_empty, "train on pictures without objects too");
}

void DetectOptions::declare_detector(Options& options) {
  options.group("Detector", Decides::kWeights);
  options.integer("rpn-samples", network_.rpn.samples, {2, 65536},
                  "anchors per picture that the proposals are trained on");
  options.integer("proposals", network_.rpn.train_after, {1, 65536},
                  "proposals per picture in training");
  options.integer("regions", network_.regions.samples, {2, 65536},
                  "regions per picture that the second stage is trained on");
}

void DetectOptions::resolve(const Options& options, const JoinedRanks& ranks) {
  if (checkpoint_.empty() && !from_scratch_)
    throw UsageError("--checkpoint FILE is missing: the weights to start from, or --from-scratch");
  if (!checkpoint_.empty() && from_scratch_)
    throw UsageError("--from-scratch starts without weights: leave out --checkpoint");
  // With another batch the groups keep their size, where that goes.
  if (options.peek("bn-groups").empty() && batch_size_ != schedule_pictures_) {
    const std::int64_t of_group = std::max<std::int64_t>(1, schedule_pictures_ / bn_groups_);
    bn_groups_ = batch_size_ / of_group;
  }
  if (options.peek("bn-groups").empty() && (bn_groups_ < 1 || batch_size_ % bn_groups_ != 0))
    bn_groups_ = batch_size_;
  if (batch_size_ % bn_groups_ != 0) {
    throw UsageError(message("--bn-groups ", bn_groups_, " cannot share ", batch_size_,
                             " pictures evenly: give a divisor of --batch-size"));
  }
  if (min_sizes_.empty())
    min_sizes_.assign(config_.loader.short_edges.begin(), config_.loader.short_edges.end());
  if (drops_.empty()) drops_ = config_.drops;
  config_.drops = drops_;
  config_.loader.groups = bn_groups_;
  config_.loader.pictures_per_group = batch_size_ / bn_groups_;
  config_.loader.short_edges.assign(min_sizes_.begin(), min_sizes_.end());
  fit_schedule(options);
  take_share(device_, ranks);
  compute_ = start_compute(device_);
  check_device(ranks, compute_.device);
  check_groups(ranks, static_cast<int>(bn_groups_), batch_size_);
  if (wire_ != DType::kF32)
    throw UsageError("--wire bf16 is not for detectors, whose groups have one gradient: fp32");
  if (ranks.ranks().size > bn_groups_)
    throw UsageError(message("--bn-groups ", bn_groups_, " is less than one group for each of ",
                             ranks.ranks().size, " ranks: ranks share whole groups of pictures"));
  config_.run.ranks = run_ranks(ranks);
  config_.device = compute_.device;
  config_.compute_type = compute_.type;
  config_.loader.seed = compute_.seed;
  config_.loader.workers = data_.workers > 0 ? data_.workers : num_threads();
  config_.max_bad_share = run_.max_bad_share;
  network_.seed = compute_.seed;
}

void DetectOptions::fit_schedule(const Options& options) {
  const auto by_hand = [&options](const char* name) { return !options.peek(name).empty(); };
  if (batch_size_ == schedule_pictures_) return;
  const double rate = config_.learning_rate;
  const std::int64_t iterations = config_.iterations;
  scale_schedule(config_, schedule_pictures_,
                 {.rate = !by_hand("lr"),
                  .iterations = !by_hand("iterations"),
                  .drops = !by_hand("drops"),
                  .warmup = !by_hand("warmup")});
  notes_.push_back(message("schedule ", schedule_pictures_, " -> ", batch_size_,
                           " pictures per iteration: rate ", formatted("%g", rate), " -> ",
                           formatted("%g", config_.learning_rate), ", iterations ", iterations,
                           " -> ", config_.iterations, ", warm-up ", config_.warmup));
  schedule_pictures_ = batch_size_;
  drops_ = config_.drops;
}

std::unique_ptr<FasterRcnn> DetectOptions::detector(const DetectionSet& set) {
  network_.classes = static_cast<int>(set.classes.size());
  std::optional<BackboneWeights> weights;
  if (!from_scratch_) {
    weights = load_backbone(checkpoint_, weights_prefix_);
    open_told(checkpoint_);
    network_.width = weights->network.config.width;
  }
  auto detector = std::make_unique<FasterRcnn>(network_);
  if (weights) {
    load_pytorch_part(*detector, weights->tensors, checkpoint_);
    for (const std::string& line : weights->lists.lines()) notes_.push_back("weights  " + line);
  }
  detector->set_compute_type(compute_.type);
  detector->to(compute_.device);
  return detector;
}

void DetectOptions::finish(const Options& options) {
  apply(run_, options, config_.run);
}

}  // namespace invp::cli
