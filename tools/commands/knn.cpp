// invp knn: weighted kNN of the validation split.
#include "invp/method/knn.h"

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "engine/core/memory.h"
#include "engine/core/stopwatch.h"
#include "engine/core/text.h"
#include "engine/files/weights.h"
#include "invp/report/text/table.h"
#include "tools/options/command.h"
#include "tools/options/data_options.h"
#include "tools/options/device_options.h"
#include "tools/options/evaluated_network.h"

namespace invp::cli {

namespace {

enum class BankSource { kAuto, kCheckpoint, kFeatures };

class KnnCommand : public Command {
 public:
  CommandText text() const override {
    return {.name = "knn",
            .arguments = "--checkpoint FILE --data PATH [options]",
            .summary = "classify the validation split by weighted kNN",
            .description =
                "Classifies each image of the validation split by the k most similar training\n"
                "images, each of which votes with weight exp(similarity / tau). Several k and\n"
                "tau take one search.\n",
            .examples =
                "  invp knn --checkpoint runs/a/checkpoints/best.safetensors --data photos\n"
                "  invp knn --checkpoint resnet50.pth --data imagenet --k 20,200 --tau 0.07,0.1\n"};
  }

  void declare(Options& options) override {
    declare_checkpoint(options, network_);
    options.main_group("kNN");
    options.text("layer", layer_, "NAME",
                 "whose output is compared: head, pool or block1..block17; auto: the head, or pool "
                 "where the file has none");
    options
        .integers("k", ks_, {1, 1e6},
                  "neighbors that vote; one value or several. In TOML files: knn-k")
        .key("knn-k");
    options
        .numbers("tau", knn_.taus, 0, {0, 100, true},
                 "temperature of the votes; one value or several. In TOML files: knn-tau")
        .shown_default("--tau of the run that wrote the checkpoint; of other files 0.07")
        .key("knn-tau");
    options
        .choice<BankSource>("bank", bank_source_,
                            {{"auto", BankSource::kAuto},
                             {"checkpoint", BankSource::kCheckpoint},
                             {"features", BankSource::kFeatures}},
                            "what stands for the training images")
        .notes({"the checkpoint's bank if it was trained on these images, else features",
                "their rows in the checkpoint's memory bank",
                "embeddings of the training split, computed now"});
    declare_data(options, data_);
    declare_device(options, device_);
  }

  Results run() override {
    const DataSource source = data_source(data_);
    const Compute compute = start_compute(device_);
    EvaluatedNetwork network(network_, layer_, compute);
    const auto train = open_labeled_train(source);
    const auto validation = open_labeled_validation(source, *train);
    tell_left_out(*train, "train");
    tell_left_out(*validation, "val");
    announce(compute);
    std::cerr << network.lines() << '\n';
    if (knn_.taus.empty()) knn_.taus = {network.run().tau.value_or(kUsualTau)};
    Features known = bank_of_checkpoint(network, *train);
    const bool from_bank = known.features.defined();
    const int workers = worker_count(data_);
    if (!from_bank) known = network.features(*train, workers, "training images");
    const Features queries = network.features(*validation, workers, "validation images");
    const MemoryBank bank(on_device(known.features, compute.device));

    knn_.classes = static_cast<std::int64_t>(train->classes().size());
    const Stopwatch stopwatch;
    const std::vector<std::vector<KnnAccuracy>> accuracy =
        knn_classify_each(queries.features, queries.labels, bank, known.labels, ks_, knn_);
    const double rate = static_cast<double>(queries.labels.size()) / stopwatch.seconds();
    std::cout << counted_of(std::ssize(queries.labels), validation->size()) << " queries against "
              << counted_of(std::ssize(known.labels), train->size())
              << (from_bank ? " rows of the bank, " : " features of the training split, ")
              << format_rate(rate) << " queries/s\n"
              << table_of(accuracy);
    Results results = {{"top1", accuracy[0][0].top1},
                       {"top5", accuracy[0][0].top5},
                       {"queries_per_second", rate},
                       {"queries", queries.labels.size()},
                       {"left_out", validation->size() - std::ssize(queries.labels)}};
    if (ks_.size() * knn_.taus.size() > 1) results["each"] = each(accuracy);
    return results;
  }

 private:
  using Accuracies = std::vector<std::vector<KnnAccuracy>>;

  std::string table_of(const Accuracies& accuracy) const {
    Table table({">k", ">tau", ">top-1 %", ">top-5 %"});
    for (std::size_t i = 0; i < ks_.size(); ++i) {
      for (std::size_t t = 0; t < knn_.taus.size(); ++t) {
        table.row({std::to_string(ks_[i]), format_number(knn_.taus[t]),
                   formatted("%.2f", accuracy[i][t].top1), formatted("%.2f", accuracy[i][t].top5)});
      }
    }
    return table.text();
  }

  Results each(const Accuracies& accuracy) const {
    Results all = Results::array();
    for (std::size_t i = 0; i < ks_.size(); ++i) {
      for (std::size_t t = 0; t < knn_.taus.size(); ++t) {
        all.push_back({{"k", ks_[i]},
                       {"tau", knn_.taus[t]},
                       {"top1", accuracy[i][t].top1},
                       {"top5", accuracy[i][t].top5}});
      }
    }
    return all;
  }

  static Tensor on_device(const Tensor& bank, Device device) {
    const MemoryScope scope(MemoryUse::kBank);
    return bank.to(device);
  }

  // Undefined features if the checkpoint has no bank of these images and --bank does not require
  // it.
  Features bank_of_checkpoint(const EvaluatedNetwork& network, const Dataset& train) const {
    if (bank_source_ == BankSource::kFeatures) return {};
    const bool required = bank_source_ == BankSource::kCheckpoint;
    const std::string obstacle = obstacle_to_bank(network, train);
    CHECK(!required || obstacle.empty(), network_.checkpoint, ": ", obstacle,
          "; --bank features compares with features of the training split");
    if (!obstacle.empty()) {
      if (!network.run().command.empty())
        std::cerr << "bank     " << obstacle << ": features of the training split stand for it\n";
      return {};
    }
    Features features{.features = read_bank(), .labels = {}, .indices = {}};
    CHECK(features.features.rank() == 2 && features.features.dim(0) == train.size(),
          network_.checkpoint, ": its bank is ", features.features.shape(), " for ", train.size(),
          " images");
    for (std::int64_t i = 0; i < train.size(); ++i) features.labels.push_back(train.label(i));
    return features;
  }

  /// Nothing else of the file is read.
  Tensor read_bank() const {
    const std::unique_ptr<TensorSource> source = open_weights(network_.checkpoint);
    const auto bank = std::ranges::find(source->tensors(), "bank", &StoredTensor::name);
    CHECK(bank != source->tensors().end(), network_.checkpoint, ": has no tensor \"bank\"");
    return source->real_tensor(static_cast<std::size_t>(bank - source->tensors().begin()));
  }

  /// Why the checkpoint's bank cannot stand for the training images; empty if it can.
  static std::string obstacle_to_bank(const EvaluatedNetwork& network, const Dataset& train) {
    const CheckpointRun& run = network.run();
    if (run.command != "invp pretrain" || run.exported) return "it has no memory bank";
    if (network.layer() != "head")
      return "its bank holds outputs of the head, not of " + network.layer();
    if (run.training_images.empty())
      return "it does not say which images its bank is of (an earlier version wrote it)";
    return trained_on(run, train) ? "" : "its bank is of other images, or of another order";
  }

  static constexpr double kUsualTau = 0.07;

  CheckpointOptions network_;
  std::string layer_ = "auto";
  std::vector<std::int64_t> ks_ = {200};
  KnnConfig knn_{.taus = {}};
  BankSource bank_source_ = BankSource::kAuto;
  DataOptions data_;
  DeviceOptions device_;
};

}  // namespace

void add_knn(Commands& commands) {
  commands.push_back(std::make_unique<KnnCommand>());
}

}  // namespace invp::cli
