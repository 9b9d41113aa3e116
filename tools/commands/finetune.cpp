// invp finetune: the semi-supervised and the transfer protocol.
#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "data/sets/subset.h"
#include "engine/core/hash.h"
#include "engine/core/memory.h"
#include "engine/core/text.h"
#include "invp/method/run_identity.h"
#include "invp/report/text/table.h"
#include "tools/options/command.h"
#include "tools/options/finetune_options.h"
#include "tools/options/stop_signal.h"

namespace invp::cli {

namespace {

class FinetuneCommand : public Command {
 public:
  CommandText text() const override {
    return {
        .name = "finetune",
        .arguments = "--protocol semi|transfer --checkpoint FILE --data PATH [options]",
        .summary = "train a pretrained network and a new linear layer on labels",
        .description =
            "Puts a new linear layer on a pretrained backbone and trains both: on a share of\n"
            "the labels of the set it was pretrained on (semi), or on another data set\n"
            "(transfer). The defaults are the paper's; --preset code-semi and code-transfer\n"
            "do as the released code does. After each epoch the validation or test split is\n"
            "classified. The run folder is that of invp pretrain; labels.txt in it lists the\n"
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
    const DataSource source = data_source(settings_.data());
    settings_.resolve(*options_);
    const RunOptions& run = settings_.run();
    const auto all = open_dataset(source, "train");
    const auto validation = open_validation(source);
    CHECK(validation != nullptr, settings_.data().path, ": has no validation split to evaluate on");
    CHECK(validation->classes() == all->classes(),
          "the validation split has other classes than the training split");
    const auto network = settings_.network(std::ssize(all->classes()));
    settings_.resolve_images(*options_, *all, *network);
    refuse_to_overwrite(run.out, run.resume);
    const StopSignal signals;
    StoppableReporter reporter(run.out, title(*all, *network), options_->to_toml());
    reporter.note(device_line(settings_.compute()));
    const std::vector<std::int64_t> chosen = images_with_labels(*all);
    const auto train = subset(*all, chosen);

    const FinetuneConfig& config = settings_.config();
    SupervisedConfig how{.command = "invp finetune",
                         .epochs = config.epochs,
                         .rates = finetune_rates(config),
                         .evaluate_every = settings_.evaluate_every(),
                         .shown = shown_measures(config.protocol, all->origin()),
                         .identity = identity(chosen, *network)};
    apply(run, how);
    how.resume = checkpoint_to_resume(run.out, run.resume, reporter);
    greet(reporter, *train, *validation, *network, how);
    ImageSource batches(*train, config.augment,
                        {.batch_size = config.batch_size,
                         .workers = config.workers,
                         .seed = config.seed,
                         .max_bad_share = run.max_bad_share,
                         .augment_on = config.augment_on.value_or(best_augment_on(config.device))},
                        config.device);
    FinetuneTask task(config, *network, *validation);
    return conclude(reporter, run_supervised(how, batches, task, reporter), how);
  }

 private:
  bool semi() { return settings_.config().protocol == FinetuneProtocol::kSemi; }

  std::string title(const Dataset& train, const ResNet& network) {
    return message(semi() ? "Semi-supervised, " : "Transfer to ",
                   semi() ? settings_.labels() + " of " : "", train.kind(), ": ",
                   name_of(network.config().arch), ", width ", network.config().width,
                   settings_.from_scratch() ? ", from scratch" : "");
  }

  /// Of semi, what the list file says or the seed draws. The draw is written to the run folder and
  /// read from there when the run goes on.
  std::vector<std::int64_t> images_with_labels(const Dataset& all) {
    const std::string& labels = settings_.labels();
    const auto list = std::filesystem::path(settings_.run().out) / "labels.txt";
    if (!semi()) {
      std::vector<std::int64_t> every(static_cast<std::size_t>(all.size()));
      std::iota(every.begin(), every.end(), 0);
      // Its split is drawn, so it is told.
      if (all.kind() == "caltech101") write_subset_list(list, all, every);
      return every;
    }
    if (!labels.ends_with('%')) {
      const std::vector<std::int64_t> named = read_subset_list(labels, all);
      write_subset_list(list, all, named);
      return named;
    }
    if (!settings_.run().resume.empty() && std::filesystem::exists(list))
      return read_subset_list(list, all);
    double share = 0;
    try {
      share = parse_number(labels.substr(0, labels.size() - 1)) / 100;
    } catch (const UsageError&) {
    }
    if (!(share > 0 && share <= 1))
      throw UsageError("--labels wants a share such as 1% or 10%, or a file, got '" + labels + "'");
    const std::vector<std::int64_t> drawn = draw_per_class(all, share, settings_.config().seed);
    write_subset_list(list, all, drawn);
    return drawn;
  }

  RunIdentity identity(const std::vector<std::int64_t>& chosen, const ResNet& network) {
    const FinetuneConfig& c = settings_.config();
    Hash hash;
    for (const std::int64_t index : chosen) hash.add(static_cast<std::uint64_t>(index));
    std::string milestones;
    for (const int epoch : c.milestones) milestones += message(epoch, ' ');
    return {
        {"protocol", semi() ? "semi" : "transfer"},
        {"arch", name_of(network.config().arch)},
        {"width", message(network.config().width)},
        {"classes", message(network.config().dim)},
        {"training images", message(chosen.size(), ", checksum ", hash.value())},
        {"batch-size", message(c.batch_size)},
        {"epochs", message(c.epochs)},
        {"lr", message(c.learning_rate)},
        {"fc-lr", message(c.fc_learning_rate)},
        {"fc-first-lr", message(c.fc_first_rate)},
        {"fc-constant", c.fc_constant ? "yes" : "no"},
        {"fc-only", c.fc_only ? "yes" : "no"},
        {"milestones", milestones},
        {"lr-decay", message(c.lr_decay)},
        {"momentum", message(c.momentum)},
        {"weight-decay", message(c.weight_decay)},
        {"bn-groups", message(c.bn_groups)},
        {"precision", describe_precision(c.compute_type, c.device)},
        {"augmentation", message(describe(c.augment), ", shorter side ", c.augment.resize_shorter,
                                 ", mean ", c.augment.normalization.mean[0])},
        {"seed", message(c.seed)}};
  }

  void greet(RunObserver& observer, const Dataset& train, const Dataset& validation,
             const ResNet& network, const SupervisedConfig& how) {
    const FinetuneConfig& config = settings_.config();
    observer.note(message("data     ", train.kind(), ", ", train.size(), " images to train on, ",
                          validation.size(), " to evaluate on, ", train.classes().size(),
                          " classes, ", config.workers, " loader threads"));
    observer.note(message("network  ", name_of(network.config().arch), ", width ",
                          network.config().width, ", from ",
                          settings_.from_scratch() ? "random weights" : settings_.checkpoint(),
                          ", images of ", config.augment.image_size, " px"));
    observer.note(message("run      ", how.out.string(),
                          how.resume ? ", resumed from " + how.resume->filename().string() : ""));
  }

  Results conclude(StoppableReporter& reporter, const SupervisedResult& result,
                   const SupervisedConfig& how) {
    const auto figure = [&](const char* name) {
      const double* const value = find_measure(result.last.measures, name);
      return value != nullptr ? Results(*value) : Results(nullptr);
    };
    const std::int64_t peak =
        std::max(result.last.peak_memory_bytes, memory_stats(settings_.compute().device).peak);
    if (result.finished) {
      reporter.note(
          message("finished after ", result.epoch, " epochs, peak memory ", format_bytes(peak)));
    } else {
      reporter.note(message("stopped at step ", result.global_step, "; --resume auto goes on from ",
                            result.checkpoint.string()));
    }
    if (const int signal = StopSignal::received(); signal != 0 && !result.finished)
      throw Stopped{signal};
    std::cout << table(result, how) << result.checkpoint.string() << '\n';
    Results results{{"top1", figure("top1")},
                    {"top5", figure("top5")},
                    {"mean_per_class", figure("mean_per_class")},
                    {"epoch", result.epoch}};
    for (const auto& [name, best] : result.best) {
      results["best_" + name] = best.value;
      results["best_" + name + "_epoch"] = best.epoch;
    }
    const double loss = result.epoch > 0 ? result.last.loss : reporter.last_step().loss;
    results["loss"] = std::isfinite(loss) ? Results(loss) : Results(nullptr);
    results["images_per_second"] = result.last.images_per_second;
    results["peak_memory_bytes"] = peak;
    results["checkpoint"] = result.checkpoint.string();
    return results;
  }

  /// The protocol's own measure first; the last epoch counts, the best one is told.
  static std::string table(const SupervisedResult& result, const SupervisedConfig& how) {
    if (result.last.measures.empty()) return "";
    Table rows({"measure", ">last epoch", ">best", ">at epoch"});
    for (const ShownMeasure& shown : how.shown) {
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
};

}  // namespace

void add_finetune(Commands& commands) {
  commands.push_back(std::make_unique<FinetuneCommand>());
}

}  // namespace invp::cli
