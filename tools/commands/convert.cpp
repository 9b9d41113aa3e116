// invp convert: weights between PyTorch's .pth and safetensors, names and layouts untouched.
#include <iostream>
#include <nlohmann/json.hpp>

#include "engine/core/text.h"
#include "engine/files/pth_writer.h"
#include "engine/files/safetensors.h"
#include "engine/files/weights.h"
#include "invp/report/text/table.h"
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
                "form that is read is recognized by content; nothing in it is run as code. Names\n"
                "and layouts of tensors stay as they are.\n",
            .examples =
                "  invp convert resnet50.pth --to resnet50.safetensors\n"
                "  invp convert runs/a/checkpoints/best.safetensors --list\n"};
  }

  void declare(Options& options) override {
    options.positional("FILE", file_, "the weights to read");
    options.main_group("Conversion");
    options.text("to", to_, "FILE", "file to write; its name ends in .safetensors, .pth or .pt");
    options.flag("list", list_, "print name, type and shape of every tensor");
    options.flag("strip-prefixes", strip_, "remove module., encoder_q. and backbone. from names");
  }

  Results run() override {
    const bool pth = to_.ends_with(".pth") || to_.ends_with(".pt");
    if (to_.empty() && !list_) throw UsageError("--to FILE or --list is missing: nothing to do");
    if (!to_.empty() && !pth && !to_.ends_with(".safetensors")) {
      throw UsageError(message("--to ", to_, ": the name must end in .safetensors, .pth or .pt"));
    }
    TensorFile file = load_weights(file_);
    if (strip_) strip_prefixes(file);
    if (!to_.empty()) keep_network(file);
    std::int64_t bytes = 0;
    for (const auto& [name, tensor] : file.tensors)
      bytes += static_cast<std::int64_t>(tensor.nbytes());
    if (!to_.empty()) pth ? write_pth(to_, file.tensors) : write_safetensors(to_, file);
    if (list_) print_list(file);
    std::cout << file.tensors.size() << (file.tensors.size() == 1 ? " tensor, " : " tensors, ")
              << format_bytes(bytes) << (to_.empty() ? "" : ", written to " + to_) << '\n';
    return {{"tensors", file.tensors.size()}, {"bytes", bytes}};
  }

 private:
  // A run's checkpoint holds the network as model.NAME, beside bank, graph and momentum.
  static void keep_network(TensorFile& file) {
    constexpr std::string_view kModel = "model.";
    if (file.find("bank") == nullptr || file.find("neighbors") == nullptr) return;
    std::erase_if(file.tensors,
                  [&](const auto& named) { return !named.first.starts_with(kModel); });
    for (auto& [name, tensor] : file.tensors) name.erase(0, kModel.size());
    file.metadata.clear();
  }

  static void print_list(const TensorFile& file) {
    Table table({"tensor", "dtype", "shape"});
    for (const auto& [name, tensor] : file.tensors)
      table.row({name, name_of(tensor.dtype()), message(tensor.shape())});
    std::cout << table.text();
    for (const auto& [key, value] : file.metadata)
      std::cout << "  " << key << ": " << value << '\n';
  }

  std::string file_;
  std::string to_;
  bool list_ = false;
  bool strip_ = false;
};

}  // namespace

void add_convert(Commands& commands) {
  commands.push_back(std::make_unique<ConvertCommand>());
}

}  // namespace invp::cli
