#include "invp/run/checkpoint.h"

#include "engine/files/safetensors.h"
#include "engine/files/weights.h"
#include "layers/exchange.h"

namespace invp {

namespace {

constexpr const char* kKind = "invp-pretraining-checkpoint-1";
constexpr std::string_view kModel = "model.";
constexpr std::string_view kOptimizer = "optimizer.";

RunPosition read_position(const TensorFile& file, const std::string& origin) {
  const MetadataReader read(file.metadata, "position.", origin);
  return {.epoch = static_cast<int>(read.integer("epoch")),
          .step = read.integer("step"),
          .global_step = read.integer("global_step"),
          .images = read.integer("images"),
          .loss_sum = read.real("loss_sum"),
          .loss_ins_sum = read.real("loss_ins_sum"),
          .loss_inv_sum = read.real("loss_inv_sum"),
          .seconds = read.real("seconds"),
          .wait_seconds = read.real_or_zero("wait_seconds"),
          .best_knn_top1 = read.real("best_knn_top1"),
          .best_epoch = static_cast<int>(read.integer("best_epoch")),
          .last_loss = read.real("last_loss"),
          .last_loss_ins = read.real("last_loss_ins"),
          .last_loss_inv = read.real("last_loss_inv")};
}

void write_position(const RunPosition& position, std::map<std::string, std::string>& metadata) {
  metadata["position.epoch"] = std::to_string(position.epoch);
  metadata["position.step"] = std::to_string(position.step);
  metadata["position.global_step"] = std::to_string(position.global_step);
  metadata["position.images"] = std::to_string(position.images);
  metadata["position.loss_sum"] = exact_text(position.loss_sum);
  metadata["position.loss_ins_sum"] = exact_text(position.loss_ins_sum);
  metadata["position.loss_inv_sum"] = exact_text(position.loss_inv_sum);
  metadata["position.seconds"] = exact_text(position.seconds);
  metadata["position.wait_seconds"] = exact_text(position.wait_seconds);
  metadata["position.best_knn_top1"] = exact_text(position.best_knn_top1);
  metadata["position.best_epoch"] = std::to_string(position.best_epoch);
  metadata["position.last_loss"] = exact_text(position.last_loss);
  metadata["position.last_loss_ins"] = exact_text(position.last_loss_ins);
  metadata["position.last_loss_inv"] = exact_text(position.last_loss_inv);
}

Tensor require(const TensorFile& file, const std::string& name, const Tensor& like,
               const std::string& origin) {
  const Tensor* tensor = file.find(name);
  CHECK(tensor != nullptr, origin, ": no tensor '", name, "' in the checkpoint");
  CHECK(tensor->shape() == like.shape() && tensor->dtype() == like.dtype(), origin, ": '", name,
        "' is ", tensor->dtype(), tensor->shape(), ", this run needs ", like.dtype(), like.shape(),
        "; was it trained on another data set or with other options?");
  return *tensor;
}

}  // namespace

void save_checkpoint(const std::filesystem::path& path, const RunState& state,
                     const RunIdentity& identity) {
  TensorFile file;
  for (auto& [name, tensor] : pytorch_state(state.network).tensors) {
    file.tensors.emplace_back(std::string(kModel) + name, tensor);
  }
  for (const SgdParameter& item : state.optimizer.state()) {
    file.tensors.emplace_back(std::string(kOptimizer) + item.name, item.tensor);
  }
  file.tensors.emplace_back("bank", state.bank);
  file.tensors.emplace_back("neighbors", state.neighbors);
  file.metadata["kind"] = kKind;
  write_identity(identity, file.metadata);
  write_position(state.position, file.metadata);
  write_safetensors(path, file);
}

void load_checkpoint(const std::filesystem::path& path, RunState& state,
                     const RunIdentity& identity) {
  const std::string origin = path.string();
  const TensorFile file = read_safetensors(path);
  CHECK(checkpoint_kind(file.metadata) == kKind, origin,
        ": not a checkpoint of invp pretrain, so a run cannot go on from it");
  check_identity(file.metadata, identity, origin);
  const RunPosition position = read_position(file, origin);
  const Tensor bank = require(file, "bank", state.bank, origin);
  const Tensor neighbors = require(file, "neighbors", state.neighbors, origin);
  const TensorFile momentum = with_prefix(file, kOptimizer);
  std::vector<SgdParameter> optimizer_state;
  for (const auto& [name, tensor] : momentum.tensors) optimizer_state.push_back({name, tensor});
  state.optimizer.load_state(optimizer_state, origin);
  load_pytorch_state(state.network, with_prefix(file, kModel), origin);
  state.bank.copy_from(bank.to(state.bank.device()));
  state.neighbors.copy_from(neighbors.to(state.neighbors.device()));
  state.position = position;
}

bool is_whole_checkpoint(const std::filesystem::path& path, std::string& reason) {
  try {
    if (!checkpoint_kind(read_safetensors_header(path).metadata).empty()) return true;
    reason = path.string() + ": not a checkpoint of invp";
  } catch (const Error& error) {
    reason = error.what();
  }
  return false;
}

TensorFile load_network_weights(const std::filesystem::path& path) {
  TensorFile file = load_weights(path);
  if (!checkpoint_kind(file.metadata).empty()) return with_prefix(file, kModel);
  strip_prefixes(file);
  return file;
}

}  // namespace invp
