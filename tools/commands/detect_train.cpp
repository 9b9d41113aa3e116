// invp detect train: a pretrained network fine-tuned as an object detector.
#include <iostream>
#include <nlohmann/json.hpp>

#include "data/detection/training_truth.h"
#include "engine/core/text.h"
#include "invp/protocols/detection/detect_task.h"
#include "invp/report/text/table.h"
#include "layers/detection/memory.h"
#include "layers/in_groups.h"
#include "tools/commands/detect.h"
#include "tools/commands/training.h"
#include "tools/options/detect_options.h"

namespace invp::cli {

namespace {

class DetectTrainCommand : public Command {
 public:
  CommandText text() const override {
    return {.name = "detect train",
            .arguments = "--checkpoint FILE --data PATH [--preset NAME] [options]",
            .summary = "fine-tune a pretrained network as an object detector",
            .description =
                "Builds a Faster R-CNN R50-C4 on a pretrained ResNet-50 and trains all of it,\n"
                "batch norms too, on PASCAL VOC or COCO. The defaults are the paper's: four GPUs\n"
                "of one picture, which are four groups of one picture here. Presets: detect-voc\n"
                "(the paper's), detect-voc-moco, detect-coco-1x.\n\n"
                "VOC: train is trainval of every year where there is a test split. The run\n"
                "folder gets what that of invp pretrain gets, and detections/ from the last\n"
                "evaluation, in the forms of COCO and VOC.\n",
            .examples =
                "  invp detect train --preset detect-voc --checkpoint best.safetensors \\\n"
                "      --data VOCdevkit --out runs/voc\n"
                "  invp detect train --checkpoint moco_v2.pth.tar --data coco --batch-size 1\n"};
  }

  void declare(Options& options) override {
    options_ = &options;
    settings_.declare(options);
  }

  Results run() override {
    return train_on_ranks(settings_.ranks(), *options_, settings_.out(),
                          [this](const JoinedRanks& ranks) { return train_on(ranks); });
  }

 private:
  Results train_on(const JoinedRanks& ranks) {
    settings_.resolve(*options_, ranks);
    DetectConfig& config = settings_.config();
    const std::int64_t groups = config.loader.groups;
    const std::string sharing =
        tell_sharing(ranks, config.run.ranks,
                     {.batch_size = groups * config.loader.pictures_per_group,
                      .groups = static_cast<int>(groups),
                      .learning_rate = config.learning_rate,
                      .norms = name_of(config.norms),
                      .pictures = "pictures"});
    const DetectionSet train = settings_.data().open(settings_.split());
    const std::optional<DetectionSet> test = open_test();
    const auto detector = settings_.detector(train);
    settings_.finish(*options_);
    agree_on_run(ranks, config.run, config.device, {training_boxes(train)});
    StoppableReporter reporter(config.run.out, title(train, *detector), options_->to_toml());
    reporter.keep(sharing);
    reporter.note(device_line(settings_.compute()));
    greet(reporter, train, test, *detector);
    const RunResult result =
        run_detect(*detector, config, train, test ? &*test : nullptr, reporter);
    if (!config.run.ranks.first()) return silent_end();
    Results results = conclude(reporter, result);
    add_rank_results(results, config.run, groups);
    return results;
  }

  /// A set without a split to judge by is trained on all the same.
  std::optional<DetectionSet> open_test() {
    const std::string split = settings_.data().judging_split(settings_.test_split());
    if (split.empty()) return std::nullopt;
    return settings_.data().open(split);
  }

  std::string title(const DetectionSet& train, const FasterRcnn& detector) const {
    return message("Detection, ", train.format == BoxFormat::kVoc ? "VOC" : "COCO",
                   ": Faster R-CNN R50-C4, width ", detector.config().width,
                   settings_.from_scratch() ? ", from scratch" : "");
  }

  void greet(RunObserver& observer, const DetectionSet& train,
             const std::optional<DetectionSet>& test, const FasterRcnn& detector) {
    const DetectConfig& config = settings_.config();
    const TrainingPictures used = training_pictures(train, config.loader.keep_empty);
    observer.note(message("data     ", train.split, ": ", used.rows.size(), " pictures, ",
                          test ? message(test->split, ": ", test->pictures.size(), " to judge by")
                               : std::string("none to judge by"),
                          ", ", train.classes.size(), " classes, ", config.loader.workers,
                          " loader threads"));
    for (const std::string& line : left_out_lines(train, used)) observer.note("         " + line);
    observer.note(message("network  Faster R-CNN R50-C4, width ", detector.config().width,
                          ", from ",
                          settings_.from_scratch() ? "random weights" : settings_.checkpoint()));
    observer.note(message("batch    ", config.loader.groups, " groups x ",
                          config.loader.pictures_per_group, " pictures, norms ",
                          name_of(config.norms), ", lr ", formatted("%g", config.learning_rate),
                          ", ", config.iterations, " iterations"));
    observer.note(memory_line(config, detector));
    for (const std::string& line : settings_.notes()) observer.note(line);
    observer.note(run_line(config.run));
  }

  /// Of the largest pictures that the settings allow.
  static std::string memory_line(const DetectConfig& config, const FasterRcnn& detector) {
    const int shorter = *std::ranges::max_element(config.loader.short_edges);
    const std::int64_t pictures = config.loader.groups * config.loader.pictures_per_group /
                                  config.run.ranks.communicator->ranks().size;
    const int longer = std::min(config.loader.longest, 2 * shorter);
    return message("memory   about ",
                   format_bytes(training_bytes(detector.config(), shorter, longer, pictures)),
                   " a step with pictures of ", shorter, " x ", longer,
                   "; fewer --regions, or a smaller --batch-size, take less");
  }

  Results conclude(StoppableReporter& reporter, const RunResult& result) {
    const Device device = settings_.compute().device;
    tell_end(reporter, result, device);
    std::cout << table(result) << result.checkpoint.string() << '\n';
    Results results;
    for (const char* const name : {"ap", "ap50", "ap75", "loss_rpn_cls", "loss_rpn_loc", "loss_cls",
                                   "loss_box_reg", "recall", "foreground"})
      results[name] = figure_of(result, reporter, name);
    add_run_results(results, result, reporter, device);
    results["iterations"] = result.steps;
    return results;
  }

  static std::string table(const RunResult& result) {
    Table rows({"measure", ">at the end", ">best"});
    for (const auto& [name, heading] :
         {std::pair{"ap50", "AP50"}, std::pair{"ap", "AP"}, std::pair{"ap75", "AP75"}}) {
      const double* const last = find_measure(result.last.measures, name);
      if (last == nullptr) return "";
      rows.row({heading, formatted("%.2f", *last) + " %",
                formatted("%.2f", result.best.at(name).value) + " %"});
    }
    return rows.text();
  }

  const Options* options_ = nullptr;
  DetectOptions settings_;
};

}  // namespace

void add_detect_train(Commands& commands) {
  commands.push_back(std::make_unique<DetectTrainCommand>());
}

void add_detect(Commands& commands) {
  add_detect_train(commands);
  add_detect_eval(commands);
  add_detect_predict(commands);
}

}  // namespace invp::cli
