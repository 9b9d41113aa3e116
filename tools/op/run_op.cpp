#include "engine/autograd/node.h"
#include "engine/core/layout.h"
#include "engine/core/text.h"
#include "tools/op/op_table.h"
#include "tools/options/options.h"

namespace invp::cli {

namespace {

std::map<std::string, std::string> parse_attributes(const Op& op,
                                                    const std::vector<std::string>& given) {
  std::map<std::string, std::string> values;
  std::vector<std::string> names;
  for (const OpAttribute& attribute : op.attributes) {
    names.push_back(attribute.name);
    values[attribute.name] = attribute.default_value;
  }
  for (const std::string& text : given) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos)
      throw UsageError(message("--attr must be key=value, got '", text, "'"));
    const std::string key = text.substr(0, equals);
    if (names.empty())
      throw UsageError(message("--attr ", key, ": ", op.name, " has no attributes"));
    if (!values.contains(key)) {
      throw UsageError(message("--attr: ", op.name, " has no attribute '", key, "'; did you mean ",
                               nearest(key, names), "? (", join_choices(names), ")"));
    }
    values[key] = text.substr(equals + 1);
  }
  for (const auto& [name, value] : values) {
    if (value.empty())
      throw UsageError(message("--attr ", name, "=... is missing: ", op.name, " needs it"));
  }
  return values;
}

bool crosses_border(const Op& op, const Tensor& tensor) {
  return op.border == Border::kSpatial && tensor.rank() == 4;
}
/// A copy: operations may write to what they are given.
Tensor inward(const Op& op, const Tensor& tensor, Device device) {
  return (crosses_border(op, tensor) ? channels_last(tensor) : tensor.clone()).to(device);
}
Tensor outward(const Op& op, const Tensor& tensor) {
  return crosses_border(op, tensor) ? channels_first(tensor) : tensor.to(kCpu);
}

bool is_floating(const Tensor& tensor) {
  return tensor.dtype() == DType::kF32 || tensor.dtype() == DType::kBF16;
}

std::string missing_input(const Op& op, const std::string& name, const TensorFile& in) {
  std::vector<std::string> there;
  for (const auto& [other, tensor] : in.tensors) there.push_back(other);
  return message(op.name, " needs a tensor '", name, "'; the file has ",
                 there.empty() ? "none" : join_choices(there));
}

int parse_int(const std::string& name, const std::string& text) {
  try {
    const std::int64_t value = parse_integer(text);
    if (value < std::numeric_limits<int>::min() || value > std::numeric_limits<int>::max())
      throw UsageError("is out of range");
    return static_cast<int>(value);
  } catch (const UsageError& error) {
    throw UsageError(message("--attr ", name, ' ', error.what()));
  }
}

}  // namespace

Tensor OpArguments::input(const std::string& name) const {
  const auto found = inputs_.find(name);
  return found == inputs_.end() ? Tensor() : found->second;
}

int OpArguments::integer(const std::string& name) const {
  return parse_int(name, attribute(name));
}

std::pair<int, int> OpArguments::pair(const std::string& name) const {
  const std::vector<std::string> parts = split(attribute(name), ',');
  if (parts.size() > 2)
    throw UsageError(
        message("--attr ", name, " must be one number or two, got '", attribute(name), "'"));
  return {parse_int(name, parts.front()), parse_int(name, parts.back())};
}

double OpArguments::number(const std::string& name) const {
  try {
    return parse_number(attribute(name));
  } catch (const UsageError& error) {
    throw UsageError(message("--attr ", name, ' ', error.what()));
  }
}

bool OpArguments::flag(const std::string& name) const {
  const std::string& text = attribute(name);
  if (text == "true" || text == "True" || text == "1") return true;
  if (text == "false" || text == "False" || text == "0") return false;
  throw UsageError(message("--attr ", name, " must be true or false, got '", text, "'"));
}

const Op& find_op(const std::string& name) {
  std::vector<std::string> names;
  for (const Op& op : op_table()) {
    if (op.name == name) return op;
    names.push_back(op.name);
  }
  throw UsageError(message("no operation '", name, "'; did you mean ", nearest(name, names),
                           "? (invp op --list names all)"));
}

NamedTensors run_op(const Op& op, const TensorFile& in, const std::vector<std::string>& attributes,
                    Device device) {
  std::map<std::string, Tensor> inputs;
  const Tensor* grad_output = in.find("grad_output");
  for (const OpInput& input : op.inputs) {
    const Tensor* tensor = in.find(input.name);
    if (tensor == nullptr) {
      CHECK(input.presence == kOptional, missing_input(op, input.name, in));
      continue;
    }
    Tensor ready = inward(op, *tensor, device);
    if (grad_output != nullptr && input.derivative == Derivative::kGiven && is_floating(ready))
      ready.set_requires_grad(true);
    inputs.emplace(input.name, ready);
  }
  NamedTensors results = op.run(OpArguments(inputs, parse_attributes(op, attributes)));
  if (grad_output != nullptr) {
    const Tensor& output = results.front().second;
    const Tensor seed = inward(op, *grad_output, device);
    CHECK(seed.shape() == output.shape() || (seed.numel() == 1 && output.numel() == 1), op.name,
          ": grad_output has shape ", grad_output->shape(), ", the output ",
          outward(op, output).shape());
    backward(output, seed.view(output.shape()));
  }
  for (auto& [name, tensor] : results) tensor = outward(op, tensor.detach());
  if (grad_output == nullptr) return results;
  for (const OpInput& input : op.inputs) {
    const auto found = inputs.find(input.name);
    if (found == inputs.end() || !found->second.requires_grad()) continue;
    const Tensor& leaf = found->second;
    const Tensor grad =
        leaf.grad().defined() ? leaf.grad() : Tensor::zeros(leaf.shape(), leaf.dtype());
    results.emplace_back("grad_" + input.name, outward(op, grad));
  }
  return results;
}

}  // namespace invp::cli
