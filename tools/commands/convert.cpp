// invp convert: weights between PyTorch's .pth and safetensors, names and layouts untouched, and
// networks and detectors in detectron2's form.
#include <iostream>
#include <nlohmann/json.hpp>

#include "engine/core/stop.h"
#include "engine/core/text.h"
#include "engine/files/pth_writer.h"
#include "engine/files/safetensors.h"
#include "engine/files/weights.h"
#include "invp/report/text/table.h"
#include "invp/run/run_metadata.h"
#include "layers/detection/detectron2_export.h"
#include "layers/detection/find_detector.h"
#include "layers/find_network.h"
#include "tools/options/checkpoint_network.h"
#include "tools/options/checkpoint_run.h"
#include "tools/options/command.h"

namespace invp::cli {

namespace {

class ConvertCommand : public Command {
 public:
  CommandText text() const override {
    return {
        .name = "convert",
        .arguments = "FILE [--to FILE] [--form NAME] [--list]",
        .summary = "convert weights between .pth and .safetensors, or list them",
        .description =
            "Reads the tensors of a safetensors file, of a PyTorch checkpoint (.pth,\n"
            ".pth.tar, .pt) or of a pickle of numpy arrays (.pkl) and writes them in the form\n"
            "that the name of --to ends with. The form that is read is recognized by content;\n"
            "nothing in it is run as code. Names, types and layouts of tensors stay as they\n"
            "are. Of a run's checkpoint the network alone is written.\n"
            "With --form detectron2 a detector, or else a network as the backbone of one, is\n"
            "written under detectron2's names, for its MODEL.WEIGHTS.\n",
        .examples =
            "  invp convert resnet50.pth --to resnet50.safetensors\n"
            "  invp convert runs/a/checkpoints/best.safetensors --list\n"
            "  invp convert runs/a/checkpoints/best.safetensors --form detectron2 --to a.pkl\n"};
  }

  void declare(Options& options) override {
    options.positional("FILE", file_, "the weights to read");
    options.main_group("Conversion");
    options.text(
        "to", to_, "FILE",
        "file to write; its name ends in .safetensors, .pth, .pt or, in detectron2's form, .pkl");
    options.choice("form", form_, {"as-is", "detectron2"},
                   "names to write: those of FILE, or detectron2's");
    options.flag("list", list_, "print name, type and shape of every tensor, and the network");
    options.flag("strip-prefixes", strip_,
                 "write the network alone, without what stands before its names");
    declare_weights_prefix(options, prefix_);
  }

  Results run() override {
    if (to_.empty() && !list_) throw UsageError("--to FILE or --list is missing: nothing to do");
    check_ending();
    const std::unique_ptr<TensorSource> source = open_told(file_);
    const std::vector<StoredTensor> tensors = form_ == "detectron2" && !to_.empty()
                                                  ? write_for_detectron2(*source)
                                                  : write_as_it_is(*source);
    if (list_) print_list(*source, tensors);
    for (const std::string& name : source->left_out())
      std::cerr << printable(message(file_, ": left out ", name)) << '\n';
    std::int64_t bytes = 0;
    for (const StoredTensor& tensor : tensors) bytes += static_cast<std::int64_t>(tensor.bytes);
    std::cout << tensors.size() << (tensors.size() == 1 ? " tensor, " : " tensors, ")
              << format_bytes(bytes) << (to_.empty() ? "" : ", written to " + to_) << '\n';
    return {{"tensors", tensors.size()}, {"bytes", bytes}};
  }

 private:
  using Taken = std::pair<std::string, std::size_t>;  ///< the name to give it, and its place

  bool ends_as_pth() const { return to_.ends_with(".pth") || to_.ends_with(".pt"); }

  void check_ending() const {
    if (to_.empty() || ends_as_pth() || to_.ends_with(".safetensors")) return;
    if (!to_.ends_with(".pkl")) {
      throw UsageError(
          message("--to ", to_, ": the name must end in .safetensors, .pth, .pt or .pkl"));
    }
    if (form_ != "detectron2") {
      throw UsageError(message("--to ", to_, ": .pkl is detectron2's form; add --form detectron2"));
    }
  }

  /// What was written, or what is there if nothing is to be.
  std::vector<StoredTensor> write_as_it_is(const TensorSource& source) const {
    const std::vector<Taken> taken = to_.empty() ? everything(source) : to_be_written(source);
    std::vector<StoredTensor> tensors;
    for (const auto& [name, index] : taken) {
      tensors.push_back(source.tensors()[index]);
      tensors.back().name = name;
    }
    if (to_.empty()) return tensors;
    source.check_total();
    const FillElements fill = [&](std::size_t i, std::span<std::byte> to) {
      check_stop();
      source.read(taken[i].second, to);
    };
    const bool all = tensors.size() == source.tensors().size();
    auto metadata = all ? source.metadata() : exported_run(source.metadata());
    for (const auto& [key, fact] : source.metadata()) {
      if (key == kDetectorClasses || key.starts_with("detector.")) metadata.emplace(key, fact);
    }
    ends_as_pth() ? write_pth(to_, tensors, fill) : write_safetensors(to_, tensors, metadata, fill);
    return tensors;
  }

  std::vector<StoredTensor> write_for_detectron2(const TensorSource& source) const {
    const Detectron2Weights weights = to_detectron2(source, prefix_);
    write_detectron2(to_, weights);
    std::cout << weights.what << ", under detectron2's names\n";
    return stored_tensors(weights.tensors);
  }

  static std::vector<Taken> everything(const TensorSource& source) {
    std::vector<Taken> taken;
    for (std::size_t i = 0; i < source.tensors().size(); ++i)
      taken.emplace_back(source.unwrapped(i), i);
    return taken;
  }

  /// The network or detector alone if that is asked for, and of a run's checkpoint, which holds it
  /// beside bank, graph and momentum.
  std::vector<Taken> to_be_written(const TensorSource& source) const {
    const bool run = !checkpoint_kind(source.metadata()).empty();
    if (!strip_ && prefix_.empty() && (!run || find_networks(source.tensors()).empty()))
      return everything(source);
    if (holds_detector(source)) return choose_detector(source, prefix_).tensors;
    return choose_network(source, prefix_).tensors;
  }

  void print_list(const TensorSource& source, const std::vector<StoredTensor>& tensors) const {
    Table table({"tensor", "dtype", "shape"});
    for (const StoredTensor& tensor : tensors)
      table.row({printable(tensor.name), name_of(tensor.type), shape_text(tensor.extents)});
    std::cout << table.text();
    for (const auto& [key, value] : source.metadata())
      std::cout << "  " << printable(key) << ": " << printable(value) << '\n';
    if (holds_detector(source)) std::cout << "  " << printable(detector_line(source)) << '\n';
    std::cout << "  " << printable(network_line(source)) << '\n';
  }

  /// What the other commands would take from the file.
  std::string network_line(const TensorSource& source) const {
    try {
      const FoundNetwork network = choose_network(source, prefix_);
      std::string line = "network: " + describe(network);
      if (!network.prefix.empty()) line += ", under \"" + network.prefix + '"';
      if (!network.instead_of.empty()) line += ", not " + network.instead_of;
      return line;
    } catch (const Error& error) {
      return message("no network to take: ", error.what());
    }
  }

  std::string detector_line(const TensorSource& source) const {
    try {
      const FoundDetector detector = choose_detector(source, prefix_);
      std::string line = "detector: " + describe(detector);
      if (!detector.backbone.prefix.empty())
        line += message(", under \"", detector.backbone.prefix, '"');
      if (!detector.class_names.empty()) line += ": " + joined(detector.class_names);
      return line;
    } catch (const Error& error) {
      return message("no detector to take: ", error.what());
    }
  }

  std::string file_;
  std::string to_;
  std::string form_ = "as-is";
  std::string prefix_;
  bool list_ = false;
  bool strip_ = false;
};

}  // namespace

void add_convert(Commands& commands) {
  commands.push_back(std::make_unique<ConvertCommand>());
}

}  // namespace invp::cli
