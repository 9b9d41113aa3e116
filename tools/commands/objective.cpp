// invp objective: the InvP objective on tensors from a file, to hold it against another
// implementation.
#include <iostream>
#include <nlohmann/json.hpp>

#include "engine/files/safetensors.h"
#include "invp/method/objective_case.h"
#include "tools/options/command.h"
#include "tools/options/device_options.h"
#include "tools/options/objective_options.h"

namespace invp::cli {

namespace {

Tensor needed(const TensorFile& file, const std::string& path, const char* name) {
  const Tensor* tensor = file.find(name);
  CHECK(tensor != nullptr, path, ": has no tensor '", name,
        "'; the objective needs features, indices, bank and neighbors");
  return *tensor;
}

class ObjectiveCommand : public Command {
 public:
  CommandText text() const override {
    return {
        .name = "objective",
        .arguments = "--in FILE --to FILE [options]",
        .summary = "the InvP objective on given tensors",
        .description =
            "Computes one step of the objective with the invariance loss at its full weight.\n\n"
            "  reads    features [b, d] (before normalization), indices [b], bank [n, d],\n"
            "           neighbors [n, k] (-1: unset)\n"
            "  writes   loss, loss_ins, loss_inv, grad_features [b, d], positives [b, .],\n"
            "           hard_positives [b, P], new_neighbors [b, k], new_bank [b, d];\n"
            "           lists are padded with -1\n",
        .examples =
            "  invp objective --in in.safetensors --to out.safetensors --objective released\n"};
  }

  void declare(Options& options) override {
    options.main_group("Files");
    options.text("in", in_, "FILE", "tensors to read (.safetensors)").required();
    options.text("to", to_, "FILE", "file for the results (.safetensors)").required();
    declare_objective(options, objective_);
    declare_device(options, device_);
  }

  Results run() override {
    const Compute compute = start_compute(device_);
    const TensorFile in = read_safetensors(in_);
    announce(compute);
    const ObjectiveCase given{.features = needed(in, in_, "features"),
                              .indices = needed(in, in_, "indices"),
                              .bank = needed(in, in_, "bank").to(compute.device),
                              .neighbors = needed(in, in_, "neighbors")};
    const ObjectiveResult result = run_objective_case(given, objective_);
    write_safetensors(to_, TensorFile{.tensors = {{"loss", result.loss},
                                                  {"loss_ins", result.loss_ins},
                                                  {"loss_inv", result.loss_inv},
                                                  {"grad_features", result.grad_features},
                                                  {"positives", result.positives},
                                                  {"hard_positives", result.hard_positives},
                                                  {"new_neighbors", result.new_neighbors},
                                                  {"new_bank", result.new_bank}}});
    std::cout << "loss " << result.loss.item() << "  loss_ins " << result.loss_ins.item()
              << "  loss_inv " << result.loss_inv.item() << '\n';
    return {{"loss", result.loss.item()},
            {"loss_ins", result.loss_ins.item()},
            {"loss_inv", result.loss_inv.item()}};
  }

 private:
  std::string in_;
  std::string to_;
  ObjectiveConfig objective_;
  DeviceOptions device_;
};

}  // namespace

void add_objective(Commands& commands) {
  commands.push_back(std::make_unique<ObjectiveCommand>());
}

}  // namespace invp::cli
