// invp finetune: the semi-supervised and the transfer protocol.
#include <iostream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "data/sets/subset.h"
#include "engine/core/hash.h"
#include "engine/core/text.h"
#include "invp/report/text/table.h"
#include "tools/commands/training.h"
#include "tools/options/checkpoint_run.h"
#include "tools/options/finetune_options.h"

namespace invp::cli {

namespace {

class FinetuneCommand : public Command {
 public:
  CommandText text() const override {
    return {
        .name = "finetune",
        .arguments = "--checkpoint FILE --data PATH [--protocol NAME] [options]",
        .summary = "train a pretrained network and a new linear layer on labels",
        .description =
            "Puts a new linear layer on a pretrained backbone and trains both: on a share of\n"
            "the labels of the data set (semi), or on all of another data set (transfer).\n"
            "After each epoch the validation or test split is classified. The defaults are\n"
            "the paper's; the presets are the settings of the released code.\n\n"
            "The run folder gets what that of invp pretrain gets. labels.txt in it lists the\n"
            "images of semi, and of a training split that was drawn (Caltech-101).\n",
        .examples =
            "  invp finetune --protocol semi --labels 1% --checkpoint best.safetensors \\\n"
            "      --data imagenet --out runs/semi1\n"
            "  invp finetune --protocol transfer --checkpoint best.safetensors --data flowers\n"};
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
    const DataSource source = data_source(settings_.data());
    settings_.resolve(*options_, ranks);
    FinetuneConfig& config = settings_.config();
    const std::string sharing = tell_sharing(
        ranks, config.run.ranks,
        {config.batch_size, config.bn_groups, config.learning_rate, name_of(config.norms)});
    const auto all = open_labeled_train(source);
    const auto validation = open_labeled_validation(source, *all);
    tell_left_out(*all, "train");
    tell_left_out(*validation, "val");
    const auto network = settings_.network(std::ssize(all->classes()));
    settings_.resolve_images(*options_, *all, *network);
    origin_ = all->origin();
    const std::vector<std::int64_t> chosen = images_with_labels(*all);
    const auto train = subset(*all, chosen);
    config.run.identity.version_1["training images"] = version_1_images(chosen);
    // Drawn by the program, so it is told.
    if (semi() || all->kind() == "caltech101")
      config.run.files["labels.txt"] = subset_list(*all, chosen);
    StoppableReporter reporter(config.run.out, title(*all, *network), options_->to_toml());
    reporter.keep(sharing);
    reporter.note(device_line(settings_.compute()));
    greet(reporter, *train, *validation, *network);
    agree_on_run(ranks, config.run, config.device, {training_images(*train)});
    const RunResult result = run_finetune(*network, config, *train, *validation, reporter);
    if (!config.run.ranks.first()) return silent_end();
    Results results = conclude(reporter, result);
    add_rank_results(results, config.run, config.bn_groups);
    return results;
  }

  bool semi() { return settings_.config().protocol == FinetuneProtocol::kSemi; }

  std::string title(const Dataset& train, const ResNet& network) {
    return message(semi() ? "Semi-supervised, " : "Transfer to ",
                   semi() ? settings_.labels() + " of " : "", train.kind(), ": ",
                   name_of(network.config().arch), ", width ", network.config().width,
                   settings_.from_scratch() ? ", from scratch" : "");
  }

  /// Of semi, what the list file says or the seed draws: a function of labels, share and seed, so a
  /// run that goes on draws the same.
  std::vector<std::int64_t> images_with_labels(const Dataset& all) {
    if (!semi()) {
      std::vector<std::int64_t> every(static_cast<std::size_t>(all.size()));
      std::iota(every.begin(), every.end(), 0);
      return every;
    }
    const std::string& labels = settings_.labels();
    if (!labels.ends_with('%')) return read_subset_list(labels, all);
    double share = 0;
    try {
      share = parse_number(labels.substr(0, labels.size() - 1)) / 100;
    } catch (const UsageError&) {
    }
    if (!(share > 0 && share <= 1))
      throw UsageError("--labels must be a share such as 1% or 10%, or a file, got '" + labels +
                       "'");
    return draw_per_class(all, share, settings_.config().seed);
  }

  static std::string version_1_images(const std::vector<std::int64_t>& chosen) {
    Hash hash;
    for (const std::int64_t index : chosen) hash.add(static_cast<std::uint64_t>(index));
    return message(chosen.size(), ", checksum ", hash.value());
  }

  void greet(RunObserver& observer, const Dataset& train, const Dataset& validation,
             const ResNet& network) {
    const FinetuneConfig& config = settings_.config();
    observer.note(message("data     ", train.kind(), ", ", train.size(), " images to train on, ",
                          validation.size(), " to evaluate on, ", train.classes().size(),
                          " classes, ", config.workers, " loader threads"));
    observer.note(message("network  ", name_of(network.config().arch), ", width ",
                          network.config().width, ", from ",
                          settings_.from_scratch() ? "random weights" : settings_.checkpoint(),
                          ", images of ", described_images(config.evaluation)));
    observer.note(run_line(config.run));
  }

  Results conclude(StoppableReporter& reporter, const RunResult& result) {
    const Device device = settings_.compute().device;
    tell_end(reporter, result, device);
    std::cout << table(result) << result.checkpoint.string() << '\n';
    const auto figure = [&](const char* name) { return figure_of(result, reporter, name); };
    Results results{{"top1", figure("top1")},
                    {"top5", figure("top5")},
                    {"mean_per_class", figure("mean_per_class")}};
    add_run_results(results, result, reporter, device);
    for (const auto& [name, best] : result.best) {
      results["best_" + name] = best.value;
      results["best_" + name + "_epoch"] = best.epoch;
    }
    return results;
  }

  /// The protocol's own measure first; the last epoch counts, the best one is told.
  std::string table(const RunResult& result) {
    if (result.last.measures.empty()) return "";
    Table rows({"measure", ">last epoch", ">best", ">at epoch"});
    const auto& measures = shown_measures(settings_.config().protocol, origin_);
    for (const ShownMeasure& shown : measures) {
      const double* const last = find_measure(result.last.measures, shown.name);
      if (last == nullptr) continue;
      const BestEpoch& best = result.best.at(shown.name);
      rows.row({shown.name == "mean_per_class" ? "mean per class" : shown.heading,
                formatted("%.2f", *last) + " %", formatted("%.2f", best.value) + " %",
                std::to_string(best.epoch)});
    }
    return rows.text();
  }

  const Options* options_ = nullptr;
  FinetuneOptions settings_;
  std::string origin_;  ///< of the data set
};

}  // namespace

void add_finetune(Commands& commands) {
  commands.push_back(std::make_unique<FinetuneCommand>());
}

}  // namespace invp::cli
