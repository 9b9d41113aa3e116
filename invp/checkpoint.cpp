#include "invp/checkpoint.h"

#include <bit>
#include <charconv>

#include "engine/files/safetensors.h"
#include "engine/files/weights.h"
#include "layers/exchange.h"

namespace invp {

namespace {

constexpr const char* kKind = "invp-pretraining-checkpoint-1";
constexpr std::string_view kModel = "model.";
constexpr std::string_view kOptimizer = "optimizer.";

// Doubles travel as the hexadecimal digits of their bits: exact, and independent of locale.
std::string encode(double value) {
  std::array<char, 17> text{};
  std::to_chars(text.data(), text.data() + text.size(), std::bit_cast<std::uint64_t>(value), 16);
  return text.data();
}

class PositionReader {
 public:
  PositionReader(const std::map<std::string, std::string>& metadata, std::string origin)
      : metadata_(metadata), origin_(std::move(origin)) {}

  std::int64_t integer(const std::string& key) const {
    std::int64_t value = 0;
    parse(key, value, 10);
    return value;
  }
  double real(const std::string& key) const {
    std::uint64_t bits = 0;
    parse(key, bits, 16);
    return std::bit_cast<double>(bits);
  }
  /// Of keys that files of earlier versions lack.
  double real_or_zero(const std::string& key) const {
    return metadata_.contains("position." + key) ? real(key) : 0;
  }

 private:
  template <class T>
  void parse(const std::string& key, T& value, int base) const {
    const auto found = metadata_.find("position." + key);
    CHECK(found != metadata_.end(), origin_, ": no '", key,
          "' in the checkpoint; was it written by another version?");
    const std::string& text = found->second;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    CHECK(error == std::errc() && end == text.data() + text.size(), origin_, ": '", key, "' is '",
          text, "', not a number");
  }

  const std::map<std::string, std::string>& metadata_;
  std::string origin_;
};

RunPosition read_position(const TensorFile& file, const std::string& origin) {
  const PositionReader read(file.metadata, origin);
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
  metadata["position.loss_sum"] = encode(position.loss_sum);
  metadata["position.loss_ins_sum"] = encode(position.loss_ins_sum);
  metadata["position.loss_inv_sum"] = encode(position.loss_inv_sum);
  metadata["position.seconds"] = encode(position.seconds);
  metadata["position.wait_seconds"] = encode(position.wait_seconds);
  metadata["position.best_knn_top1"] = encode(position.best_knn_top1);
  metadata["position.best_epoch"] = std::to_string(position.best_epoch);
  metadata["position.last_loss"] = encode(position.last_loss);
  metadata["position.last_loss_ins"] = encode(position.last_loss_ins);
  metadata["position.last_loss_inv"] = encode(position.last_loss_inv);
}

/// The tensors whose names begin with the prefix, without it.
TensorFile with_prefix(const TensorFile& file, std::string_view prefix) {
  TensorFile part;
  for (const auto& [name, tensor] : file.tensors) {
    if (name.starts_with(prefix)) part.tensors.emplace_back(name.substr(prefix.size()), tensor);
  }
  return part;
}

bool is_checkpoint(const TensorFile& file) {
  const auto kind = file.metadata.find("kind");
  return kind != file.metadata.end() && kind->second == kKind;
}

const Tensor& require(const TensorFile& file, const std::string& name, const Tensor& like,
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
  for (const auto& [key, value] : identity) file.metadata["run." + key] = value;
  write_position(state.position, file.metadata);
  write_safetensors(path, file);
}

void load_checkpoint(const std::filesystem::path& path, RunState& state,
                     const RunIdentity& identity) {
  const std::string origin = path.string();
  const TensorFile file = read_safetensors(path);
  CHECK(is_checkpoint(file), origin,
        ": not a checkpoint of invp pretrain, so a run cannot go on from it");
  for (const auto& [key, value] : identity) {
    const auto found = file.metadata.find("run." + key);
    const std::string stored = found == file.metadata.end() ? "nothing" : found->second;
    CHECK(stored == value, origin, ": was trained with ", key, " ", stored, ", this run has ", key,
          " ", value, "; give the same options, or another --out");
  }
  const RunPosition position = read_position(file, origin);
  const Tensor& bank = require(file, "bank", state.bank, origin);
  const Tensor& neighbors = require(file, "neighbors", state.neighbors, origin);
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
    const SafetensorsHeader header = read_safetensors_header(path);
    const auto kind = header.metadata.find("kind");
    if (kind != header.metadata.end() && kind->second == kKind) return true;
    reason = path.string() + ": not a checkpoint of invp pretrain";
  } catch (const Error& error) {
    reason = error.what();
  }
  return false;
}

TensorFile load_network_weights(const std::filesystem::path& path) {
  TensorFile file = load_weights(path);
  if (is_checkpoint(file)) return with_prefix(file, kModel);
  strip_prefixes(file);
  return file;
}

}  // namespace invp
