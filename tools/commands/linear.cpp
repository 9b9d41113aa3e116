// invp linear: a linear classifier at every block of a frozen network.
#include <iostream>
#include <nlohmann/json.hpp>

#include "engine/core/text.h"
#include "engine/files/atomic_file.h"
#include "invp/report/svg/layers.h"
#include "invp/report/text/table.h"
#include "tools/commands/training.h"
#include "tools/options/linear_options.h"

namespace invp::cli {

namespace {

class LinearCommand : public Command {
 public:
  CommandText text() const override {
    return {.name = "linear",
            .arguments = "--checkpoint FILE --data PATH [options]",
            .summary = "linear classifiers at every block of a frozen network",
            .description =
                "Freezes a trained network, puts a linear classifier on each of its blocks and\n"
                "trains all of them in one pass over the data. The results are top-1 and top-5\n"
                "accuracy or, for VOC07, mean average precision.\n\n"
                "The run folder gets layers.csv, the figure layers.svg, and what that of\n"
                "invp pretrain gets. The defaults are the paper's; the presets are the settings\n"
                "of the released code.\n",
            .examples =
                "  invp linear --checkpoint runs/a/checkpoints/last.safetensors --data imagenet\n"
                "  invp linear --checkpoint resnet50.pth --data VOCdevkit --out runs/voc07\n"
                "  invp linear --preset code-linear --checkpoint resnet50.pth --data imagenet\n"};
  }

  void declare(Options& options) override {
    options_ = &options;
    settings_.declare(options);
  }

  Results run() override {
    return train_on_ranks(settings_.ranks(), *options_, settings_.run().out,
                          [this](const JoinedRanks& ranks) { return train_on(ranks); });
  }

 private:
  Results train_on(const JoinedRanks& ranks) {
    settings_.resolve(*options_, ranks);
    const LinearConfig& config = settings_.config();
    const std::string sharing = tell_sharing(ranks, config.run.ranks,
                                             {.batch_size = config.batch_size,
                                              .groups = config.bn_groups,
                                              .learning_rate = config.learning_rate,
                                              .of = ""});
    const auto network = settings_.network();
    const auto train = settings_.open_train();
    const auto test = settings_.open_test(*train);
    tell_left_out(*train, "train");
    tell_left_out(*test, "val");
    const std::string title =
        message("Linear classification of ", train->kind(), ": ", name_of(network->config().arch));
    agree_on_run(ranks, config.run, settings_.compute().device,
                 {training_images(*train), network_identity(*network)});
    StoppableReporter reporter(config.run.out, title, options_->to_toml());
    reporter.keep(sharing);
    reporter.note(device_line(settings_.compute()));
    greet(reporter, config, *network, *train, *test);
    const LinearResult result = run_linear(*network, config, *train, *test, reporter);
    if (!config.run.ranks.first()) return silent_end();
    if (!result.taps.empty()) write_layers(title, result, *test);
    Results results = conclude(reporter, result);
    add_rank_results(results, config.run, config.bn_groups);
    return results;
  }

  void greet(RunObserver& observer, const LinearConfig& config, const ResNet& network,
             const Dataset& train, const Dataset& test) const {
    observer.note(message("data     ", train.kind(), ", ", train.size(), " images to train on, ",
                          test.size(), " to judge by, ", train.classes().size(), " classes"));
    observer.note(message("network  ", settings_.checkpoint(), ": ", name_of(network.config().arch),
                          ", width ", network.config().width));
    observer.note("images   " + settings_.images());
    observer.note(message("protocol ", settings_.protocol(), ", learning rate ",
                          format_number(config.learning_rate), ", batches of ", config.batch_size));
  }

  void write_layers(const std::string& title, const LinearResult& result,
                    const Dataset& test) const {
    const std::filesystem::path folder = settings_.run().out;
    write_file(folder / "layers.csv", layers_csv(result));
    write_file(folder / "layers.svg", layers_svg(title, result));
    if (result.multi_label) write_file(folder / "classes.csv", classes_csv(result, test.classes()));
  }

  static std::string table_of(const LinearResult& result) {
    Table table(
        result.multi_label
            ? std::vector<std::string>{">tap", "block", ">dims", ">mAP", ">envelope", ">11-point"}
            : std::vector<std::string>{">tap", "block", ">dims", ">top-1", ">top-5"});
    for (const auto& [layer, score] : result.taps) {
      std::vector<std::string> row = {std::to_string(layer.tap), layer.block,
                                      std::to_string(layer.dims())};
      for (const double figure :
           result.multi_label ? std::vector{score.map, score.map_envelope, score.map_eleven_point}
                              : std::vector{score.top1, score.top5}) {
        row.push_back(formatted("%.2f", figure));
      }
      table.row(row);
    }
    return table.text();
  }

  static Results figures_of(const TapScore& score, bool multi_label) {
    if (!multi_label) return {{"top1", score.top1}, {"top5", score.top5}};
    return {{"map", score.map},
            {"map_envelope", score.map_envelope},
            {"map_11point", score.map_eleven_point}};
  }

  static Results taps_of(const LinearResult& result) {
    Results taps = Results::array();
    for (const auto& [layer, score] : result.taps) {
      Results tap = {{"tap", layer.tap}, {"block", layer.block}, {"dims", layer.dims()}};
      tap.update(figures_of(score, result.multi_label));
      taps.push_back(std::move(tap));
    }
    return taps;
  }

  Results conclude(StoppableReporter& reporter, const LinearResult& result) const {
    const std::filesystem::path folder = settings_.run().out;
    const RunResult& run = result.run;
    const Device device = settings_.compute().device;
    tell_end(reporter, run, device);
    Results results;
    if (result.taps.empty()) {
      results["best_tap"] = nullptr;
    } else {
      const TapResult& best = result.taps[result.best];
      const char* const headline = result.multi_label ? "map" : "top1";
      std::cout << table_of(result) << "best: block " << best.layer.tap << ", " << best.layer.block
                << ", " << (result.multi_label ? "mAP " : "top-1 ")
                << formatted("%.2f", result.headline(best)) << " %";
      results["best_tap"] = best.layer.tap;
      results.update(figures_of(best.score, result.multi_label));
      if (const auto known = run.best.find(headline); known != run.best.end()) {
        std::cout << "; over all epochs " << formatted("%.2f", known->second.value)
                  << " % after epoch " << known->second.epoch;
        results[std::string("best_") + headline] = known->second.value;
        results["best_epoch"] = known->second.epoch;
      }
      std::cout << '\n' << (folder / "layers.svg").string() << '\n';
    }
    results["taps"] = taps_of(result);
    add_run_results(results, run, reporter, device);
    if (!result.taps.empty()) results["picture"] = (folder / "layers.svg").string();
    return results;
  }

  const Options* options_ = nullptr;
  LinearOptions settings_;
};

}  // namespace

void add_linear(Commands& commands) {
  commands.push_back(std::make_unique<LinearCommand>());
}

}  // namespace invp::cli
