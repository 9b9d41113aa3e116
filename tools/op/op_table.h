// The operations of the engine as `invp op` offers them: under PyTorch's names, in PyTorch's
// layouts.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "engine/core/tensor.h"
#include "engine/files/tensor_file.h"

namespace invp::cli {

enum class Presence : bool { kRequired, kOptional };
inline constexpr Presence kRequired = Presence::kRequired;
inline constexpr Presence kOptional = Presence::kOptional;

enum class Derivative : bool { kGiven, kConstant };
inline constexpr Derivative kConstant = Derivative::kConstant;

/// Are tensors of rank 4 images or weights, which change between NCHW and NHWC on the way in and
/// out, or plain tensors?
enum class Border : bool { kSpatial, kPlain };
inline constexpr Border kPlain = Border::kPlain;

struct OpInput {
  std::string name;
  Presence presence = kRequired;
  Derivative derivative = Derivative::kGiven;
};

struct OpAttribute {
  std::string name;
  std::string default_value;  ///< empty: required
};

/// What an operation is called with: tensors already in the engine's layouts and on its device,
/// attributes with their defaults.
class OpArguments {
 public:
  OpArguments(std::map<std::string, Tensor> inputs, std::map<std::string, std::string> attributes)
      : inputs_(std::move(inputs)), attributes_(std::move(attributes)) {}

  /// Undefined when an optional input was not given.
  Tensor input(const std::string& name) const;
  int integer(const std::string& name) const;
  /// "7" or "7,5".
  std::pair<int, int> pair(const std::string& name) const;
  double number(const std::string& name) const;
  bool flag(const std::string& name) const;
  bool is(const std::string& name, const std::string& text) const {
    return attribute(name) == text;
  }

 private:
  const std::string& attribute(const std::string& name) const { return attributes_.at(name); }

  std::map<std::string, Tensor> inputs_;
  std::map<std::string, std::string> attributes_;
};

using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

struct Op {
  std::string name;
  std::vector<OpInput> inputs;
  std::vector<OpAttribute> attributes;
  /// The first output is the one that grad_output belongs to.
  std::function<NamedTensors(const OpArguments&)> run;
  Border border = Border::kSpatial;
};

const std::vector<Op>& op_table();
/// Throws UsageError naming the nearest operation.
const Op& find_op(const std::string& name);

/// Runs `op` on a device on the tensors of a file, in PyTorch's layouts both ways. With
/// `grad_output` among them the result includes grad_<name> for every differentiable floating-point
/// input. Throws UsageError for attributes that do not exist or do not parse, Error for inputs that
/// are missing or do not fit.
NamedTensors run_op(const Op& op, const TensorFile& in, const std::vector<std::string>& attributes,
                    Device device);

}  // namespace invp::cli
