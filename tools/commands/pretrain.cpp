// invp pretrain: Invariance Propagation on a training set.
#include <iostream>
#include <nlohmann/json.hpp>

#include "engine/core/text.h"
#include "tools/commands/report_run.h"
#include "tools/commands/training.h"
#include "tools/options/pretrain_options.h"

namespace invp::cli {

namespace {

class PretrainCommand : public Command {
 public:
  CommandText text() const override {
    return {.name = "pretrain",
            .arguments = "--data PATH [options]",
            .summary = "train a network with the InvP objective",
            .description =
                "Trains a network without labels by Invariance Propagation. If there is a\n"
                "validation split, it is classified after each epoch by weighted kNN against the\n"
                "memory bank.\n\n"
                "The run folder gets checkpoints/, config.toml, log.txt, metrics.jsonl,\n"
                "TensorBoard events, curves.svg and, at the end, report.html. On Ctrl-C, SIGTERM,\n"
                "SIGHUP, SIGXCPU and SIGXFSZ a run writes a checkpoint and stops; --resume auto\n"
                "continues from it.\n",
            .examples =
                "  invp pretrain --preset cifar10 --data cifar-10-batches-bin --out runs/cifar10\n"
                "  invp pretrain --format synthetic --arch resnet18-cifar --width 16 \\\n"
                "      --augment cifar --epochs 20 --warm-epochs 5 --out runs/first\n"};
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
    const PretrainConfig config = settings_.resolve(*options_, ranks);
    const std::string sharing = tell_sharing(
        ranks, config.run.ranks,
        {config.batch_size, config.bn_groups, config.learning_rate, name_of(config.norms)});
    const auto train = open_dataset(source, "train");
    auto validation = open_validation(source, *train);
    tell_left_out(*train, "train");
    agree_on_run(ranks, config.run, config.device, {training_images(*train)});
    const std::string no_knn = why_no_knn(*train, validation.get());
    if (!no_knn.empty()) validation = nullptr;
    StoppableReporter reporter(config.run.out, title(config, *train), options_->to_toml());
    reporter.keep(sharing);
    reporter.note(device_line(settings_.compute()));
    greet(reporter, config, *train,
          !no_knn.empty()         ? "no labels to validate by"
          : validation == nullptr ? "no validation split"
                                  : message(validation->size(), " to validate with"));
    if (!no_knn.empty()) reporter.note("kNN      left out: " + no_knn);
    const RunResult result = pretrain(config, *train, validation.get(), reporter);
    if (!config.run.ranks.first()) return silent_end();
    if (result.finished) leave_report(reporter, config.run.out, *train);
    Results results = conclude(reporter, result);
    add_rank_results(results, config.run, config.bn_groups);
    return results;
  }

  static std::string title(const PretrainConfig& config, const Dataset& train) {
    return message("InvP on ", train.kind(), ": ", name_of(config.network.arch), ", width ",
                   config.network.width);
  }

  /// Empty if the validation split can be classified, or there is none.
  static std::string why_no_knn(const Dataset& train, const Dataset* validation) {
    if (validation == nullptr) return "";
    return train.has_labels() ? validation->why_no_labels() : train.why_no_labels();
  }

  void greet(RunObserver& observer, const PretrainConfig& config, const Dataset& train,
             const std::string& validation) const {
    observer.note(
        message("data     ", train.kind(), ", ", train.size(), " images to train on, ", validation,
                ", ", config.workers, " loader threads, augmentation ",
                config.augment_on.value_or(best_augment_on(config.device)) == AugmentOn::kWorkers
                    ? "in them"
                    : message(config.decode_on == DecodeOn::kDevice ? "and decoding on " : "on ",
                              config.device)));
    observer.note(message("network  ", name_of(config.network.arch), ", width ",
                          config.network.width, ", embedding ", config.network.dim, ", images of ",
                          config.augment.image_size, " px"));
    observer.note(run_line(config.run));
    if (!config.objective.no_invariance && config.objective.ramp == Ramp::kBinary &&
        config.objective.warm_epochs >= config.epochs)
      observer.note(message("note     the invariance loss is never used: --warm-epochs ",
                            config.objective.warm_epochs, " is not below --epochs ",
                            config.epochs));
    if (config.network.head == HeadKind::kMlp && !options_->given("tau"))
      observer.note("note     with --head mlp the paper has --tau 0.2; this run has --tau " +
                    format_number(config.objective.tau));
  }

  // A run that is finished has not failed because a page about it could not be written.
  static void leave_report(RunObserver& observer, const std::filesystem::path& out,
                           const Dataset& train) {
    try {
      observer.note("report   " + write_run_report(out, train).string());
    } catch (const Error& error) {
      observer.note(message("no report: ", error.what()));
    }
  }

  Results conclude(StoppableReporter& reporter, const RunResult& result) const {
    const Device device = settings_.compute().device;
    tell_end(reporter, result, device);
    const auto figure = [&](const char* name) { return figure_of(result, reporter, name); };
    if (const double* const top1 = find_measure(result.last.measures, "knn_top1"))
      std::cout << "kNN top-1 " << formatted("%.2f %%", *top1) << ", top-5 "
                << formatted("%.2f %%", *find_measure(result.last.measures, "knn_top5")) << '\n';
    std::cout << result.checkpoint.string() << '\n';
    // In the order of the help text.
    Results results{{"epoch", nullptr},
                    {"loss", nullptr},
                    {"loss_ins", figure("loss_ins")},
                    {"loss_inv", figure("loss_inv")},
                    {"knn_top1", figure("knn_top1")},
                    {"knn_top5", figure("knn_top5")}};
    add_run_results(results, result, reporter, device);
    return results;
  }

  const Options* options_ = nullptr;
  PretrainOptions settings_;
};

}  // namespace

void add_pretrain(Commands& commands) {
  commands.push_back(std::make_unique<PretrainCommand>());
}

std::vector<std::string> run_setting_names() {
  PretrainOptions settings;
  Options options;
  settings.declare(options);
  return options.setting_names();
}

}  // namespace invp::cli
