// invp extract: the features of a split.
#include <iostream>
#include <nlohmann/json.hpp>

#include "engine/core/stopwatch.h"
#include "engine/core/text.h"
#include "engine/files/safetensors.h"
#include "tools/options/command.h"
#include "tools/options/data_options.h"
#include "tools/options/device_options.h"
#include "tools/options/evaluated_network.h"

namespace invp::cli {

namespace {

class ExtractCommand : public Command {
 public:
  CommandText text() const override {
    return {.name = "extract",
            .arguments = "--checkpoint FILE --data PATH --to FILE [options]",
            .summary = "the features that a network has for a split",
            .description =
                "Runs a network in evaluation mode on every image of a split and writes the\n"
                "output of one layer: features [n, d] f32, labels [n] i64, indices [n] i64.\n",
            .examples =
                "  invp extract --checkpoint runs/a/checkpoints/best.safetensors --data photos \\\n"
                "      --split val --layer pool --to features.safetensors\n"};
  }

  void declare(Options& options) override {
    declare_checkpoint(options, network_);
    options.main_group("Features");
    options.text("layer", layer_, "NAME",
                 "whose output: head, pool or block1..block17 (a block's average over the image)");
    options.text("split", split_, "NAME", "split of the data: train, val or test");
    options.text("to", to_, "FILE", "file for the features (.safetensors)").required();
    declare_data(options, data_);
    declare_device(options, device_);
  }

  Results run() override {
    const DataSource source = data_source(data_);
    const Compute compute = start_compute(device_);
    EvaluatedNetwork network(network_, layer_, compute);
    const auto dataset = open_split(source, split_);
    tell_left_out(*dataset, split_);
    announce(compute);
    std::cerr << network.lines() << '\n';
    const Stopwatch stopwatch;
    const Features features =
        network.features(*dataset, worker_count(data_), "images of " + split_);
    const auto images = static_cast<std::int64_t>(features.indices.size());
    const double rate = static_cast<double>(images) / stopwatch.seconds();
    write_safetensors(to_,
                      TensorFile{.tensors = {{"features", features.features},
                                             {"labels", Tensor::from(features.labels, {images})},
                                             {"indices", Tensor::from(features.indices, {images})}},
                                 .metadata = {{"layer", layer_},
                                              {"split", split_},
                                              {"classes", lines(dataset->classes())}}});
    const std::int64_t dim = features.features.dim(1);
    std::cout << to_ << ": " << counted_of(images, dataset->size()) << " images, " << dim
              << " values each, " << format_rate(rate) << " images/s\n";
    return {{"images", images},
            {"dim", dim},
            {"images_per_second", rate},
            {"left_out", dataset->size() - images}};
  }

 private:
  static std::string lines(const std::vector<std::string>& names) {
    std::string text;
    for (const std::string& name : names) text += (text.empty() ? "" : "\n") + name;
    return text;
  }

  CheckpointOptions network_;
  std::string layer_ = "head";
  std::string split_ = "train";
  std::string to_;
  DataOptions data_;
  DeviceOptions device_;
};

}  // namespace

void add_extract(Commands& commands) {
  commands.push_back(std::make_unique<ExtractCommand>());
}

}  // namespace invp::cli
