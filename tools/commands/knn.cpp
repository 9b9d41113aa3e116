// invp knn: weighted kNN of the validation split.
#include "invp/method/knn.h"

#include <iostream>
#include <nlohmann/json.hpp>

#include "engine/core/memory.h"
#include "engine/core/stopwatch.h"
#include "engine/core/text.h"
#include "engine/files/weights.h"
#include "invp/report/text/progress.h"
#include "invp/report/text/table.h"
#include "tools/options/checkpoint_network.h"
#include "tools/options/command.h"
#include "tools/options/data_options.h"
#include "tools/options/device_options.h"

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
    options
        .integers("k", ks_, {1, 1e6},
                  "neighbors that vote; one value or several. In TOML files: knn-k")
        .key("knn-k");
    options
        .numbers("tau", knn_.taus, 0, {0, 100, true},
                 "temperature of the votes; one value or several. In TOML files: knn-tau")
        .key("knn-tau");
    options
        .choice<BankSource>("bank", bank_source_,
                            {{"auto", BankSource::kAuto},
                             {"checkpoint", BankSource::kCheckpoint},
                             {"features", BankSource::kFeatures}},
                            "what stands for the training images")
        .notes({"the checkpoint's bank if it fits the training split, else features",
                "their rows in the checkpoint's memory bank",
                "embeddings of the training split, computed now"});
    declare_data(options, data_);
    declare_device(options, device_);
  }

  Results run() override {
    const DataSource source = data_source(data_);
    const Compute compute = start_compute(device_);
    layer_.tap = has_head(network_) ? FeatureLayer::kHead : FeatureLayer::kPool;
    const bool head = layer_.tap == FeatureLayer::kHead;
    if (!head) std::cerr << network_.checkpoint << ": no head: pooled features are compared\n";
    const auto network = load_network(network_, head);
    network->set_compute_type(compute.type);
    network->to(compute.device);
    const auto train = open_dataset(source, "train");
    const auto validation = open_validation(source);
    CHECK(validation != nullptr, data_.path, ": has no validation split to classify");
    announce(compute);
    Features known = bank_of_checkpoint(*train);
    const bool from_bank = known.features.defined();
    if (!from_bank) known = embeddings(*network, *train, "features of train");
    const Features queries = embeddings(*network, *validation, "features of val");
    const MemoryBank bank(on_device(known.features, compute.device));

    knn_.classes = static_cast<std::int64_t>(train->classes().size());
    const Stopwatch stopwatch;
    const std::vector<std::vector<KnnAccuracy>> accuracy =
        knn_classify_each(queries.features, queries.labels, bank, known.labels, ks_, knn_);
    const double rate = static_cast<double>(queries.labels.size()) / stopwatch.seconds();
    std::cout << queries.labels.size() << " queries against " << known.labels.size()
              << (from_bank ? " rows of the bank, " : " features of the training split, ")
              << format_rate(rate) << " queries/s\n"
              << table_of(accuracy);
    Results results = {
        {"top1", accuracy[0][0].top1}, {"top5", accuracy[0][0].top5}, {"queries_per_second", rate}};
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

  // Undefined features if the checkpoint has no bank and --bank does not require one.
  Features bank_of_checkpoint(const Dataset& train) const {
    if (bank_source_ == BankSource::kFeatures) return {};
    const TensorFile file = load_weights(network_.checkpoint);
    const Tensor* bank = file.find("bank");
    CHECK(bank != nullptr || bank_source_ == BankSource::kAuto, network_.checkpoint,
          ": has no memory bank; --bank features compares with features of the training split");
    if (bank == nullptr) return {};
    if (bank->dim(0) != train.size()) {
      CHECK(bank_source_ == BankSource::kAuto, network_.checkpoint, ": its bank has ", bank->dim(0),
            " rows, the training split ", train.size(), " images: not the set it was trained on");
      return {};
    }
    Features features{.features = *bank, .labels = {}, .indices = {}};
    for (std::int64_t i = 0; i < train.size(); ++i) features.labels.push_back(train.label(i));
    return features;
  }

  Features embeddings(ResNet& network, const Dataset& dataset, const char* label) const {
    return features_of(network, dataset, layer_, network_, worker_count(data_), label);
  }

  CheckpointOptions network_;
  FeatureLayer layer_;
  std::vector<std::int64_t> ks_ = {200};
  KnnConfig knn_;
  BankSource bank_source_ = BankSource::kAuto;
  DataOptions data_;
  DeviceOptions device_;
};

}  // namespace

void add_knn(Commands& commands) {
  commands.push_back(std::make_unique<KnnCommand>());
}

}  // namespace invp::cli
