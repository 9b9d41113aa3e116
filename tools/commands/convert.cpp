// invp convert: weights between PyTorch's .pth and safetensors, names and layouts untouched.
#include <iostream>
#include <nlohmann/json.hpp>

#include "engine/core/stop.h"
#include "engine/core/text.h"
#include "engine/files/pth_writer.h"
#include "engine/files/safetensors.h"
#include "engine/files/weights.h"
#include "invp/report/text/table.h"
#include "invp/run/run_metadata.h"
#include "layers/find_network.h"
#include "tools/options/checkpoint_network.h"
#include "tools/options/checkpoint_run.h"
#include "tools/options/command.h"

namespace invp::cli {

namespace {

class ConvertCommand : public Command {
 public:
  CommandText text() const override {
    return {.name = "convert",
            .arguments = "FILE [--to FILE] [--list]",
            .summary = "convert weights between .pth and .safetensors, or list them",
            .description =
                "Reads the tensors of a safetensors file or of a PyTorch checkpoint (.pth,\n"
                ".pth.tar, .pt) and writes them in the form that the name of --to ends with. The\n"
                "form that is read is recognized by content; nothing in it is run as code. Names,\n"
                "types and layouts of tensors stay as they are. Of a run's checkpoint the network\n"
                "alone is written.\n",
            .examples =
                "  invp convert resnet50.pth --to resnet50.safetensors\n"
                "  invp convert runs/a/checkpoints/best.safetensors --list\n"};
  }

  void declare(Options& options) override {
    options.positional("FILE", file_, "the weights to read");
    options.main_group("Conversion");
    options.text("to", to_, "FILE", "file to write; its name ends in .safetensors, .pth or .pt");
    options.flag("list", list_, "print name, type and shape of every tensor, and the network");
    options.flag("strip-prefixes", strip_,
                 "write the network alone, without what stands before its names");
    declare_weights_prefix(options, prefix_);
  }

  Results run() override {
    const bool pth = to_.ends_with(".pth") || to_.ends_with(".pt");
    if (to_.empty() && !list_) throw UsageError("--to FILE or --list is missing: nothing to do");
    if (!to_.empty() && !pth && !to_.ends_with(".safetensors")) {
      throw UsageError(message("--to ", to_, ": the name must end in .safetensors, .pth or .pt"));
    }
    const std::unique_ptr<TensorSource> source = open_weights(file_);
    const std::vector<Taken> taken = to_.empty() ? everything(*source) : to_be_written(*source);
    std::vector<StoredTensor> tensors;
    std::int64_t bytes = 0;
    for (const auto& [name, index] : taken) {
      tensors.push_back(source->tensors()[index]);
      tensors.back().name = name;
      bytes += static_cast<std::int64_t>(tensors.back().bytes);
    }
    if (!to_.empty()) {
      source->check_total();
      const FillElements fill = [&](std::size_t i, std::span<std::byte> to) {
        check_stop();
        source->read(taken[i].second, to);
      };
      const bool all = tensors.size() == source->tensors().size();
      const auto metadata = all ? source->metadata() : exported_run(source->metadata());
      pth ? write_pth(to_, tensors, fill) : write_safetensors(to_, tensors, metadata, fill);
    }
    if (list_) print_list(*source, tensors);
    for (const std::string& name : source->left_out())
      std::cerr << printable(message(file_, ": left out ", name)) << '\n';
    std::cout << tensors.size() << (tensors.size() == 1 ? " tensor, " : " tensors, ")
              << format_bytes(bytes) << (to_.empty() ? "" : ", written to " + to_) << '\n';
    return {{"tensors", tensors.size()}, {"bytes", bytes}};
  }

 private:
  using Taken = std::pair<std::string, std::size_t>;  ///< the name to give it, and its place

  static std::vector<Taken> everything(const TensorSource& source) {
    std::vector<Taken> taken;
    for (std::size_t i = 0; i < source.tensors().size(); ++i)
      taken.emplace_back(source.unwrapped(i), i);
    return taken;
  }

  /// The network alone if that is asked for, and of a run's checkpoint, which holds it beside bank,
  /// graph and momentum.
  std::vector<Taken> to_be_written(const TensorSource& source) const {
    const bool run = !checkpoint_kind(source.metadata()).empty();
    if (!strip_ && prefix_.empty() && (!run || find_networks(source.tensors()).empty()))
      return everything(source);
    return choose_network(source, prefix_).tensors;
  }

  void print_list(const TensorSource& source, const std::vector<StoredTensor>& tensors) const {
    Table table({"tensor", "dtype", "shape"});
    for (const StoredTensor& tensor : tensors)
      table.row({printable(tensor.name), name_of(tensor.type), shape_text(tensor.extents)});
    std::cout << table.text();
    for (const auto& [key, value] : source.metadata())
      std::cout << "  " << printable(key) << ": " << printable(value) << '\n';
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

  std::string file_;
  std::string to_;
  std::string prefix_;
  bool list_ = false;
  bool strip_ = false;
};

}  // namespace

void add_convert(Commands& commands) {
  commands.push_back(std::make_unique<ConvertCommand>());
}

}  // namespace invp::cli
