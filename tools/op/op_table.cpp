#include "tools/op/op_table.h"

#include <algorithm>
#include <iterator>

#include "engine/ops/basic/elementwise.h"
#include "engine/ops/basic/l2_normalize.h"
#include "engine/ops/basic/matmul.h"
#include "engine/ops/basic/reduce.h"
#include "engine/ops/basic/softmax.h"
#include "engine/ops/conv/conv2d.h"
#include "engine/ops/detection/roi_align.h"
#include "engine/ops/loss/bce_with_logits.h"
#include "engine/ops/loss/cross_entropy.h"
#include "engine/ops/norm/batch_norm.h"
#include "engine/ops/pool/avg_pool2d.h"
#include "engine/ops/pool/max_pool2d.h"
#include "engine/ops/step/sgd_step.h"
#include "tools/options/options.h"

namespace invp::cli {

namespace {

Tensor apply_conv2d(const OpArguments& in) {
  return conv2d(in.input("input"), in.input("weight"), in.input("bias"),
                {.stride = in.integer("stride"),
                 .padding = in.integer("padding"),
                 .dilation = in.integer("dilation"),
                 .groups = in.integer("groups")});
}

// The three forms of batch norm share their inputs and give back the running statistics they
// updated.
NamedTensors apply_batch_norm(const OpArguments& in, BatchNormFusion fusion) {
  const Tensor x = in.input("input");
  const auto or_full = [&](const char* name, float value) {
    const Tensor given = in.input(name);
    return given ? given : Tensor::full({x.dim(-1)}, value, x.device());
  };
  const Tensor gamma = or_full("weight", 1);
  const Tensor beta = or_full("bias", 0);
  const Tensor mean = or_full("running_mean", 0);
  const Tensor var = or_full("running_var", 1);
  const BatchNormParams params{.training = in.flag("training"),
                               .momentum = static_cast<float>(in.number("momentum")),
                               .eps = static_cast<float>(in.number("eps"))};
  const Tensor y =
      fusion == BatchNormFusion::kNone ? batch_norm(x, gamma, beta, mean, var, params)
      : fusion == BatchNormFusion::kRelu
          ? batch_norm_relu(x, gamma, beta, mean, var, params)
          : batch_norm_add_relu(x, in.input("residual"), gamma, beta, mean, var, params);
  return {{"output", y}, {"running_mean", mean}, {"running_var", var}};
}

std::vector<OpInput> batch_norm_inputs(bool residual) {
  std::vector<OpInput> inputs{{"input"},
                              {"running_mean", kOptional, kConstant},
                              {"running_var", kOptional, kConstant},
                              {"weight", kOptional},
                              {"bias", kOptional}};
  if (residual) inputs.insert(inputs.begin() + 1, {"residual"});
  return inputs;
}

const std::vector<OpAttribute> kBatchNormAttributes{
    {"training", "false"}, {"momentum", "0.1"}, {"eps", "1e-05"}};

// PyTorch's default stride is the window itself.
int pool_stride(const OpArguments& in) {
  return in.is("stride", "kernel_size") ? in.integer("kernel_size") : in.integer("stride");
}

Tensor apply_roi_align(const OpArguments& in) {
  const auto [height, width] = in.pair("output_size");
  return roi_align(in.input("input"), in.input("boxes"),
                   {.height = height,
                    .width = width,
                    .spatial_scale = static_cast<float>(in.number("spatial_scale")),
                    .sampling_ratio = in.integer("sampling_ratio"),
                    .aligned = in.flag("aligned"),
                    .step = in.integer("step")});
}

// The engine normalises along the last dimension: `dim` must say that one.
Tensor along_last(const OpArguments& in) {
  Tensor x = in.input("input");
  const int dim = in.integer("dim");
  if (dim != -1 && dim != x.rank() - 1)
    throw UsageError(message("--attr dim must be -1, the last dimension, got ", dim));
  return x;
}

// Without a momentum_buffer it is the first step, which makes one.
NamedTensors apply_sgd_step(const OpArguments& in) {
  const Tensor weight = in.input("weight");
  const Tensor given = in.input("momentum_buffer");
  const Tensor momentum =
      given ? given : Tensor::zeros(weight.shape(), DType::kF32, weight.device());
  const SgdItem item{.weight = weight,
                     .gradient = in.input("grad"),
                     .momentum = momentum,
                     .first = !given.defined()};
  sgd_step({&item, 1}, {.lr = in.number("lr"),
                        .momentum = in.number("momentum"),
                        .weight_decay = in.number("weight_decay")});
  return {{"weight", weight}, {"momentum_buffer", momentum}};
}

using Run = std::function<NamedTensors(const OpArguments&)>;

/// An operation with the single result `output`.
Run gives(std::function<Tensor(const OpArguments&)> apply) {
  return [apply = std::move(apply)](const OpArguments& in) -> NamedTensors {
    return {{"output", apply(in)}};
  };
}

Run batch_norm_form(BatchNormFusion fusion) {
  return [fusion](const OpArguments& in) { return apply_batch_norm(in, fusion); };
}

const std::vector<OpInput> kUnary{{"input"}};
const std::vector<OpInput> kBinary{{"input"}, {"other"}};
const std::vector<OpInput> kWeighted{{"input"}, {"weight"}, {"bias", kOptional}};
const std::vector<OpInput> kTargeted{{"input"}, {"target", kRequired, kConstant}};
const std::vector<OpAttribute> kPool{
    {"kernel_size", ""}, {"stride", "kernel_size"}, {"padding", "0"}};

std::vector<Op> layers() {
  return {
      {"conv2d",
       kWeighted,
       {{"stride", "1"}, {"padding", "0"}, {"dilation", "1"}, {"groups", "1"}},
       gives(apply_conv2d)},
      {"batch_norm", batch_norm_inputs(false), kBatchNormAttributes,
       batch_norm_form(BatchNormFusion::kNone)},
      {"batch_norm_relu", batch_norm_inputs(false), kBatchNormAttributes,
       batch_norm_form(BatchNormFusion::kRelu)},
      {"batch_norm_add_relu", batch_norm_inputs(true), kBatchNormAttributes,
       batch_norm_form(BatchNormFusion::kAddRelu)},
      {"relu", kUnary, {}, gives([](const auto& in) { return relu(in.input("input")); })},
      {"add", kBinary, {}, gives([](const auto& in) {
         return add(in.input("input"), in.input("other"));
       })},
      {"max_pool2d", kUnary, kPool, gives([](const auto& in) {
         return max_pool2d(in.input("input"),
                           {in.integer("kernel_size"), pool_stride(in), in.integer("padding")});
       })},
      {"avg_pool2d", kUnary, kPool, gives([](const auto& in) {
         return avg_pool2d(in.input("input"),
                           {in.integer("kernel_size"), pool_stride(in), in.integer("padding")});
       })},
      {"adaptive_avg_pool2d", kUnary, {{"output_size", ""}}, gives([](const auto& in) {
         const auto [height, width] = in.pair("output_size");
         return adaptive_avg_pool2d(in.input("input"), height, width);
       })},
      // With torchvision's defaults, and `step`, which torchvision does not have.
      {"roi_align",
       {{"input"}, {"boxes", kRequired, kConstant}},
       {{"output_size", ""},
        {"spatial_scale", "1"},
        {"sampling_ratio", "0"},
        {"aligned", "false"},
        {"step", "1"}},
       gives(apply_roi_align)},
      {"linear", kWeighted, {}, gives([](const auto& in) {
         return linear(in.input("input"), in.input("weight"), in.input("bias"));
       })},
      {"linear_relu", kWeighted, {}, gives([](const auto& in) {
         return linear_relu(in.input("input"), in.input("weight"), in.input("bias"));
       })},
      {"matmul", kBinary, {}, gives([](const auto& in) {
         return matmul(in.input("input"), in.input("other"));
       })},
  };
}

std::vector<Op> rows_losses_and_steps() {
  return {
      {"l2_normalize",
       kUnary,
       {{"dim", "-1"}, {"eps", "1e-12"}},
       gives([](const auto& in) {
         return l2_normalize(along_last(in), static_cast<float>(in.number("eps")));
       }),
       kPlain},
      {"softmax",
       kUnary,
       {{"dim", "-1"}},
       gives([](const auto& in) { return softmax(along_last(in)); }),
       kPlain},
      {"log_softmax",
       kUnary,
       {{"dim", "-1"}},
       gives([](const auto& in) { return log_softmax(along_last(in)); }),
       kPlain},
      {"cross_entropy", kTargeted, {}, gives([](const auto& in) {
         return cross_entropy(in.input("input"), in.input("target"));
       })},
      {"bce_with_logits",
       kTargeted,
       {},
       gives([](const auto& in) { return bce_with_logits(in.input("input"), in.input("target")); }),
       kPlain},
      {"sum", kUnary, {}, gives([](const auto& in) { return sum(in.input("input")); }), kPlain},
      {"mean", kUnary, {}, gives([](const auto& in) { return mean(in.input("input")); }), kPlain},
      {"sgd_step",
       {{"weight", kRequired, kConstant},
        {"grad", kRequired, kConstant},
        {"momentum_buffer", kOptional, kConstant}},
       {{"lr", ""}, {"momentum", "0"}, {"weight_decay", "0"}},
       apply_sgd_step,
       kPlain},
  };
}

}  // namespace

const std::vector<Op>& op_table() {
  static const std::vector<Op> table = [] {
    std::vector<Op> all = layers();
    std::ranges::move(rows_losses_and_steps(), std::back_inserter(all));
    return all;
  }();
  return table;
}

}  // namespace invp::cli
