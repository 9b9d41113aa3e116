// invp detect eval: how good detections are, by the rules of PASCAL VOC and of COCO.
#include <iostream>
#include <nlohmann/json.hpp>

#include "data/detection/detections.h"
#include "engine/core/error.h"
#include "engine/core/parallel.h"
#include "engine/core/text.h"
#include "engine/files/atomic_file.h"
#include "invp/protocols/detection/causes.h"
#include "invp/protocols/detection/detect_set.h"
#include "invp/report/html/detection.h"
#include "invp/report/text/progress.h"
#include "invp/report/text/table.h"
#include "tools/commands/detect.h"
#include "tools/options/data_options.h"
#include "tools/options/detector_checkpoint.h"

namespace invp::cli {

namespace {

double percent(double value) {
  return value == kUndefined ? kUndefined : 100 * value;
}
std::string shown(double value) {
  return value == kUndefined ? "-" : formatted("%.2f", 100 * value);
}

class DetectEvalCommand : public Command {
 public:
  CommandText text() const override {
    return {.name = "detect eval",
            .arguments = "--data PATH --checkpoint FILE [options]",
            .summary = "judge a detector by the rules of PASCAL VOC and COCO",
            .description =
                "Looks for objects in the pictures of a split with the detector of a\n"
                "checkpoint, or reads detections (--detections), compares them with the split's\n"
                "and prints average precision by three rules: VOC2007's (11 points), that of\n"
                "later years (area) and COCO's, of each class, at the ten overlaps 0.50, 0.55,\n"
                "..., 0.95. Figures equal those of the official evaluators; classes without\n"
                "objects do not count in means.\n\n"
                "The checkpoint is one of invp detect train or detectron2's. Detections may\n"
                "come from any program: COCO's results\n"
                "[{image_id, category_id, bbox, score}, ...], or VOC's files\n"
                "comp4_det_test_CLASS.txt with lines \"ID score xmin ymin xmax ymax\".\n\n"
                "--json: the figures of --metric in per cent, -1 where undefined; per_class has\n"
                "AP50 of VOC and AP of COCO; rules has all three at the ten overlaps, and the\n"
                "means that count classes without objects as 0.\n",
            .examples =
                "  invp detect eval --data VOCdevkit --checkpoint last.safetensors\n"
                "  invp detect eval --data VOCdevkit --detections results/\n"
                "  invp detect eval --data coco --split val --detections results.json --to judged\n"
                "  invp detect eval --data VOCdevkit --detections results --report page.html\n"};
  }

  void declare(Options& options) override {
    options.main_group("Detections");
    options.text("data", data_, "PATH", "a VOCdevkit, COCO's folder or its annotations").required();
    options.text("checkpoint", detector_.checkpoint, "FILE", "the detector to judge").needed();
    options.text("detections", detections_, "PATH",
                 "instead of it: results.json, comp4_det_test_CLASS.txt, or a folder of them");
    options.text(
        "split", split_, "NAME",
        "train, val, test; of VOC also 2007_test, 2012_val or several with + between them");
    options
        .choice("metric", metric_, {"auto", "voc07", "voc12", "coco"},
                "the rule whose figures --json gives first")
        .notes({"voc07 for VOC2007, voc12 for later years, coco for COCO", "VOC2007's 11 points",
                "VOC2012's area under the curve", "COCO's twelve figures"});
    options.choice("format", format_, {"auto", "voc", "coco"}, "form of the data set")
        .notes({"by what is at PATH", "PASCAL VOC's devkit", "COCO's JSON"});
    options.text("to", to_, "DIR",
                 "folder to write the detections into in both forms, for the official programs");
    options.text("report", report_, "FILE.html",
                 "HTML page to write: curves, detections beside the objects, mistakes and misses");
    options.number("max-bad-share", max_bad_share_, kProbability,
                   "share of unreadable pictures above which it stops");
    declare_max_pixels(options, max_pixels_);
    declare_detector(options, detector_);
  }

  Results run() override {
    const bool from_file = !detections_.empty();
    if (from_file == !detector_.checkpoint.empty())
      throw UsageError("give --checkpoint FILE or --detections PATH: what is to be judged");
    set_default_max_pixels(max_pixels_);
    // Pictures are not looked at where the detections are there, but for the report, which does
    // without those that are missing.
    const auto set = std::make_shared<const DetectionSet>(
        open_boxes(data_, {.format = format_, .split = split_, .pictures = !from_file}));
    check_objects(*set);
    if (from_file) start_compute(detector_.device);
    const Detections detections = from_file ? read_detections(detections_, *set) : detected(*set);
    if (!to_.empty()) write_detections(to_, *set, detections);
    return judge(set, detections);
  }

 private:
  Detections detected(const DetectionSet& set) {
    const LoadedDetector loaded = load_detector(detector_);
    const std::vector<std::int32_t> labels = labels_in(set, loaded);
    announce(loaded.compute);
    ProgressDisplay progress;
    Pace pace;
    const Stopwatch watch;
    FoundInSet found = detect_set(
        *loaded.network, set,
        {.short_edge = loaded.short_edge,
         .longest = loaded.longest,
         .max_bad_share = max_bad_share_},
        [&](std::int64_t done, std::int64_t total) {
          pace.update(static_cast<double>(done), watch.seconds());
          const double rate = pace.per_second();
          progress.show({.label = "detection",
                         .done = done,
                         .total = total,
                         .per_second = rate,
                         .unit = "pictures",
                         .seconds_left = rate > 0 ? static_cast<double>(total - done) / rate : -1});
        });
    progress.clear();
    if (!found.bad.empty())
      std::cerr << left_out_line(found.bad, std::ssize(set.pictures), "pictures") << '\n';
    for (Detection& row : found.detections.rows)
      row.label = labels[static_cast<std::size_t>(row.label)];
    found.detections.source = detector_.checkpoint;
    return std::move(found.detections);
  }

  /// The set's label of each of the detector's, by the classes' names.
  std::vector<std::int32_t> labels_in(const DetectionSet& set, const LoadedDetector& loaded) const {
    CHECK(loaded.named || loaded.classes.size() == set.classes.size(), detector_.checkpoint,
          ": finds ", loaded.classes.size(), " classes, which it does not name; ",
          set.source.string(), " has ", set.classes.size());
    std::vector<std::int32_t> labels;
    for (std::size_t c = 0; c < loaded.classes.size(); ++c) {
      const auto at = std::ranges::find(set.classes, loaded.classes[c]);
      CHECK(!loaded.named || at != set.classes.end(), detector_.checkpoint, ": finds '",
            printable(loaded.classes[c]), "', a class that ", set.source.string(),
            " does not have");
      labels.push_back(static_cast<std::int32_t>(loaded.named ? at - set.classes.begin()
                                                              : static_cast<std::ptrdiff_t>(c)));
    }
    return labels;
  }

  /// Detections of a file and of a network are judged here alike.
  Results judge(const std::shared_ptr<const DetectionSet>& boxes,
                const Detections& detections) const {
    const DetectionSet& set = *boxes;
    const VocScores voc = evaluate_voc(set, detections);
    const CocoScores coco = evaluate_coco(set, detections);
    const std::array rules = rules_of(voc, coco);
    const std::string metric = metric_ != "auto" ? metric_ : usual_rule(set);
    const Rule& chosen = *std::ranges::find(rules, metric, &Rule::name);
    const std::vector<std::string> lines = causes(set, detections, chosen.scores.mean_at(kAt50));
    std::cout << printable(set.source.string()) << ", " << set.split << ": "
              << counted(std::ssize(set.pictures), "picture") << ", "
              << counted(std::ssize(set.objects), "object") << ", "
              << counted(std::ssize(detections.rows), "detection") << '\n';
    for (const Rule& rule : rules) {
      if (set.format == BoxFormat::kVoc || rule.name == metric)
        print_classes(set, detections, rule);
    }
    print_summary(rules);
    print_figures(coco);
    for (const std::string& line : lines) std::cout << "  " << printable(line) << '\n';

    Results results = figures_of(chosen, coco);
    results["metric"] = metric;
    results["per_class"] = Results::object();
    for (std::size_t c = 0; c < set.classes.size(); ++c) {
      results["per_class"][set.classes[c]] =
          percent(metric == "coco" ? chosen.scores.mean_of(c) : chosen.scores.ap[c][kAt50]);
    }
    for (const Rule& rule : rules) results["rules"][rule.name] = all_of(set, rule);
    results["pictures"] = set.pictures.size();
    results["objects"] = set.objects.size();
    results["detections"] = detections.rows.size();
    results["causes"] = lines;
    if (!report_.empty()) {
      const std::string name = std::filesystem::path(detections_).filename().string();
      write_file(report_, detection_html(detection_part("Detections of " + name, boxes, detections,
                                                        voc, coco, metric),
                                         lines));
      std::cout << report_ << '\n';
      results["report"] = report_;
    }
    return results;
  }

  /// Headings of AP and of the ten overlaps.
  static void add_overlaps(std::vector<std::string>& headings) {
    headings.emplace_back(">AP");
    for (std::size_t t = 0; t < kOverlaps; ++t)
      headings.push_back(">AP" + std::to_string(50 + 5 * t));
  }

  static void print_classes(const DetectionSet& set, const Detections& detections,
                            const Rule& rule) {
    std::vector<std::int64_t> objects(set.classes.size()), found(set.classes.size());
    for (const BoxedObject& object : set.objects) {
      if (!object.difficult) ++objects[static_cast<std::size_t>(object.label)];
    }
    for (const Detection& row : detections.rows) ++found[static_cast<std::size_t>(row.label)];
    std::vector<std::string> headings = {"class", ">objects", ">detections"};
    add_overlaps(headings);
    Table table(headings);
    for (std::size_t c = 0; c < set.classes.size(); ++c) {
      std::vector<std::string> cells = {printable(set.classes[c]), std::to_string(objects[c]),
                                        std::to_string(found[c]), shown(rule.scores.mean_of(c))};
      for (const double ap : rule.scores.ap[c]) cells.push_back(shown(ap));
      table.row(std::move(cells));
    }
    std::cout << "\n" << rule.title << ", %\n" << table.text();
  }

  static void print_summary(std::span<const Rule> rules) {
    std::vector<std::string> headings = {"mean over classes"};
    add_overlaps(headings);
    Table table(headings);
    for (const Rule& rule : rules) {
      std::vector<std::string> cells = {rule.title, shown(rule.scores.mean())};
      for (std::size_t t = 0; t < kOverlaps; ++t) cells.push_back(shown(rule.scores.mean_at(t)));
      table.row(std::move(cells));
    }
    std::cout << "\n" << table.text();
  }

  static void print_figures(const CocoScores& coco) {
    std::vector<std::string> headings, cells;
    const auto figures = coco.figures();
    for (std::size_t k = 0; k < figures.size(); ++k) {
      headings.push_back(std::string(">") + kCocoFigures[k]);
      cells.push_back(shown(figures[k]));
    }
    Table table(headings);
    table.row(cells);
    std::cout << "\nCOCO's figures, %\n" << table.text();
  }

  static Results means_of(const RuleScores& scores, EmptyClasses empty) {
    return {{"ap", percent(scores.mean(empty))},
            {"ap50", percent(scores.mean_at(kAt50, empty))},
            {"ap75", percent(scores.mean_at(kAt75, empty))}};
  }

  static Results figures_of(const Rule& rule, const CocoScores& coco) {
    Results results;
    if (rule.name == "coco") {
      const auto figures = coco.figures();
      for (std::size_t k = 0; k < figures.size(); ++k)
        results[kCocoFigures[k]] = percent(figures[k]);
      return results;
    }
    return means_of(rule.scores, EmptyClasses::kLeftOut);
  }

  /// The means of a rule, and each class at the ten overlaps.
  static Results all_of(const DetectionSet& set, const Rule& rule) {
    Results all = means_of(rule.scores, EmptyClasses::kLeftOut);
    all["empty_classes_as_0"] = means_of(rule.scores, EmptyClasses::kZero);
    for (std::size_t c = 0; c < set.classes.size(); ++c) {
      Results at = Results::array();
      for (const double ap : rule.scores.ap[c]) at.push_back(percent(ap));
      all["per_class"][set.classes[c]] = std::move(at);
    }
    return all;
  }

  std::string data_, detections_, to_, report_;
  std::string split_ = "test", metric_ = "auto", format_ = "auto";
  double max_bad_share_ = 0.01;
  std::int64_t max_pixels_ = default_max_pixels();
  DetectorOptions detector_;
};

}  // namespace

void add_detect_eval(Commands& commands) {
  commands.push_back(std::make_unique<DetectEvalCommand>());
}

}  // namespace invp::cli
