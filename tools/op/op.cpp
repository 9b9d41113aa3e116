// invp op: one operation of the engine on tensors from a file, to hold it against another
// framework.
#include <iostream>
#include <nlohmann/json.hpp>

#include "engine/core/text.h"
#include "engine/files/safetensors.h"
#include "invp/report/text/table.h"
#include "tools/op/op_table.h"
#include "tools/options/command.h"
#include "tools/options/device_options.h"

namespace invp::cli {

namespace {

std::string described(const Op& op) {
  std::string names;
  for (const OpInput& input : op.inputs) {
    names += (names.empty() ? "" : " ") +
             (input.presence == kOptional ? "[" + input.name + "]" : input.name);
  }
  return names;
}

std::string attributes_of(const Op& op) {
  std::string text;
  for (const OpAttribute& attribute : op.attributes) {
    text += (text.empty() ? "" : " ") + attribute.name +
            (attribute.default_value.empty() ? "" : "=" + attribute.default_value);
  }
  return text;
}

// Two lines per operation: the inputs of batch norm alone fill one.
void print_list() {
  for (const Op& op : op_table()) {
    std::cout << op.name << "\n    inputs  " << described(op) << '\n';
    if (!op.attributes.empty()) std::cout << "    attrs   " << attributes_of(op) << '\n';
  }
  std::cout << "\n[x] may be left out. An attribute without a default must be given.\n";
}

std::string shape_text(const Tensor& tensor) {
  return message(tensor.shape());
}

class OpCommand : public Command {
 public:
  CommandText text() const override {
    return {.name = "op",
            .arguments = "NAME --in FILE --to FILE [--attr key=value ...]",
            .summary = "one operation of the engine on given tensors",
            .description =
                "Runs one operation of the engine on the tensors of a safetensors file and writes\n"
                "its results to another. Tensors have the names of the arguments of PyTorch's\n"
                "functional form, and PyTorch's layouts (images NCHW, weights OIHW). If the file\n"
                "holds 'grad_output', the results include grad_<name> for every differentiable\n"
                "floating-point input.\n",
            .examples =
                "  invp op conv2d --in in.safetensors --to out.safetensors --attr stride=2 \\\n"
                "      --attr padding=1\n"
                "  invp op --list\n"};
  }

  void declare(Options& options) override {
    std::vector<std::string> names;
    for (const Op& op : op_table()) names.emplace_back(op.name);
    options.positional("[NAME]", name_, "the operation; --list names all", names);
    options.main_group("Operation");
    options.text("in", in_, "FILE", "tensors to read (.safetensors)");
    options.text("to", to_, "FILE", "file for the results (.safetensors)");
    options.repeated("attr", attributes_, "key=value", "an attribute of the operation");
    options.flag("list", list_, "print the operations with their inputs and attributes");
    options.group("Device");
    options.text("device", device_.device, "NAME", "cpu, cuda, cuda:N or auto");
    options.choice("precision", device_.precision, {"fp32", "tf32"},
                   "arithmetic of f32 products; tf32 is fp32 on a CPU");
    options.flag("deterministic", device_.deterministic,
                 "same bits on every run (always so on the CPU)");
    declare_threads(options, device_.threads);
  }

  Results run() override {
    if (list_) {
      print_list();
      Results names = Results::array();
      for (const Op& op : op_table()) names.push_back(op.name);
      return {{"operations", names}};
    }
    if (name_.empty())
      throw UsageError("NAME is missing: the operation to run; invp op --list names all");
    const Op& op = find_op(name_);
    if (in_.empty()) throw UsageError("--in FILE is missing: the tensors to read");
    if (to_.empty()) throw UsageError("--to FILE is missing: where the results go");
    const Compute compute = start_compute(device_);
    const TensorFile in = read_safetensors(in_);
    announce(compute);
    warn_unused(op, in);
    const NamedTensors results = run_op(op, in, attributes_, compute.device);
    write_safetensors(to_, results);
    Table table({"tensor", "dtype", "shape"});
    Results shapes = Results::object();
    for (const auto& [name, tensor] : results) {
      table.row({name, name_of(tensor.dtype()), shape_text(tensor)});
      shapes[name] =
          std::vector<std::int64_t>(tensor.shape().dims().begin(), tensor.shape().dims().end());
    }
    std::cout << table.text();
    return {{"operation", op.name}, {"outputs", shapes}};
  }

 private:
  // Otherwise an optional input under a wrong name would be ignored without a word.
  static void warn_unused(const Op& op, const TensorFile& in) {
    for (const auto& [name, tensor] : in.tensors) {
      bool known = name == "grad_output";
      for (const OpInput& input : op.inputs) known = known || input.name == name;
      if (!known)
        std::cerr << "invp op: " << op.name << " does not use tensor '" << printable(name) << "'\n";
    }
  }

  std::string name_;
  std::string in_;
  std::string to_;
  std::vector<std::string> attributes_;
  bool list_ = false;
  DeviceOptions device_;
};

}  // namespace

void add_op(Commands& commands) {
  commands.push_back(std::make_unique<OpCommand>());
}

}  // namespace invp::cli
