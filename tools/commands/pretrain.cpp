// invp pretrain: Invariance Propagation on a training set.
#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>

#include "engine/core/memory.h"
#include "engine/core/text.h"
#include "tools/commands/report_run.h"
#include "tools/options/command.h"
#include "tools/options/pretrain_options.h"
#include "tools/options/run_options.h"
#include "tools/options/stop_signal.h"

namespace invp::cli {

namespace {

Results number_or_null(double value) {
  return std::isfinite(value) ? Results(value) : Results(nullptr);
}
Results number_or_null(const std::optional<double>& value) {
  return value ? number_or_null(*value) : Results(nullptr);
}

class PretrainCommand : public Command {
 public:
  CommandText text() const override {
    return {.name = "pretrain",
            .arguments = "--data PATH [options]",
            .summary = "train a network with the InvP objective",
            .description =
                "Trains a network without labels by Invariance Propagation. After each epoch the\n"
                "validation split, if there is one with labels, is classified by weighted kNN\n"
                "against the memory bank. The run folder gets config.toml, log.txt,\n"
                "metrics.jsonl, TensorBoard events, curves.svg, checkpoints/ and at its end\n"
                "report.html. SIGINT and SIGTERM write a checkpoint first; --resume auto goes on\n"
                "from it.\n",
            .examples =
                "  invp pretrain --preset cifar10 --data cifar-10-batches-bin --out runs/cifar10\n"
                "  invp pretrain --format synthetic --arch resnet18-cifar --width 16 \\\n"
                "      --augment cifar --epochs 20 --out runs/first\n"};
  }

  void declare(Options& options) override {
    options_ = &options;
    settings_.declare(options);
  }

  Results run() override {
    const DataSource source = data_source(settings_.data());
    PretrainConfig config = settings_.resolve(*options_);
    const auto train = open_dataset(source, "train");
    const auto validation = open_validation(source);
    refuse_to_overwrite(settings_.out(), settings_.resume());
    const StopSignal signals;
    StoppableReporter reporter(config.out, title(config, *train), options_->to_toml());
    reporter.note(device_line(settings_.compute()));
    config.resume = checkpoint_to_resume(settings_.out(), settings_.resume(), reporter);
    greet(reporter, config, *train, validation.get());
    const PretrainResult result = pretrain(config, *train, validation.get(), reporter);
    if (result.finished) leave_report(reporter, config.out, *train);
    return conclude(reporter, result);
  }

 private:
  static std::string title(const PretrainConfig& config, const Dataset& train) {
    return message("InvP on ", train.kind(), ": ", name_of(config.network.arch), ", width ",
                   config.network.width);
  }

  static void greet(RunObserver& observer, const PretrainConfig& config, const Dataset& train,
                    const Dataset* validation) {
    observer.note(
        message("data     ", train.kind(), ", ", train.size(), " images to train on",
                validation == nullptr ? ", no validation split"
                                      : message(", ", validation->size(), " to validate with"),
                ", ", config.workers, " loader threads, augmentation ",
                config.augment_on.value_or(best_augment_on(config.device)) == AugmentOn::kWorkers
                    ? "in them"
                    : message(config.decode_on == DecodeOn::kDevice ? "and decoding on " : "on ",
                              config.device)));
    observer.note(message("network  ", name_of(config.network.arch), ", width ",
                          config.network.width, ", embedding ", config.network.dim, ", images of ",
                          config.augment.image_size, " px"));
    observer.note(
        message("run      ", config.out.string(),
                config.resume ? ", resumed from " + config.resume->filename().string() : ""));
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

  Results conclude(StoppableReporter& reporter, const PretrainResult& result) const {
    EpochReport last = result.last;
    const StepReport& step = reporter.last_step();
    // A smoke run that stopped within its first epoch has its last step to show.
    if (result.epoch == 0)
      last.loss = step.loss, last.loss_ins = step.loss_ins, last.loss_inv = step.loss_inv;
    const std::int64_t peak =
        std::max(last.peak_memory_bytes, memory_stats(settings_.compute().device).peak);
    if (result.finished) {
      reporter.note(
          message("finished after ", result.epoch, " epochs, peak memory ", format_bytes(peak)));
    } else {
      reporter.note(message("stopped at step ", step.global_step, "; --resume auto goes on from ",
                            result.checkpoint.string()));
    }
    if (const int signal = StopSignal::received(); signal != 0 && !result.finished)
      throw Stopped{signal};
    if (last.knn_top1)
      std::printf("kNN top-1 %.2f %%, top-5 %.2f %%\n", *last.knn_top1, last.knn_top5.value_or(0));
    std::cout << result.checkpoint.string() << '\n';
    return {{"epoch", result.epoch},
            {"loss", number_or_null(last.loss)},
            {"loss_ins", number_or_null(last.loss_ins)},
            {"loss_inv", number_or_null(last.loss_inv)},
            {"knn_top1", number_or_null(last.knn_top1)},
            {"knn_top5", number_or_null(last.knn_top5)},
            {"images_per_second", number_or_null(last.images_per_second)},
            {"peak_memory_bytes", peak},
            {"checkpoint", result.checkpoint.string()}};
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
