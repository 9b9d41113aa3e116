#include "invp/run/checkpoint.h"

#include "engine/files/safetensors.h"

namespace invp {

namespace {

constexpr const char* kKind = "invp-checkpoint-2";
constexpr const char* kPretraining1 = "invp-pretraining-checkpoint-1";
constexpr const char* kCommand = "command";
constexpr std::string_view kOptimizer = "optimizer.";

/// Version 1 told pretraining apart from the rest alone.
bool is_of(const Metadata& metadata, const std::string& command) {
  const std::string kind = checkpoint_kind(metadata);
  if (kind == kKind) {
    const auto wrote = metadata.find(kCommand);
    return wrote != metadata.end() && wrote->second == command;
  }
  return !kind.empty() && (kind == kPretraining1) == (command == "invp pretrain");
}

}  // namespace

void save_checkpoint(const std::filesystem::path& path, const std::string& command, Task& task,
                     const Position& position, const RunIdentity& identity) {
  TensorFile file = task.state();
  for (const SgdParameter& item : task.optimizer().state())
    file.tensors.emplace_back(std::string(kOptimizer) + item.name, item.tensor);
  file.metadata["kind"] = kKind;
  file.metadata[kCommand] = command;
  write_identity(identity, file.metadata);
  write_position(position, task.loss_names(), file.metadata);
  write_safetensors(path, file);
}

Position load_checkpoint(const std::filesystem::path& path, const std::string& command, Task& task,
                         std::int64_t steps_per_epoch, const RunIdentity& identity) {
  const std::string origin = path.string();
  TensorFile file = read_safetensors(path);
  CHECK(is_of(file.metadata, command), origin, ": not a checkpoint of ", command,
        ", so a run cannot go on from it");
  check_identity(file.metadata, identity, origin);
  const Position position =
      read_position(file.metadata, task.loss_names(), steps_per_epoch, origin);
  std::vector<SgdParameter> momentum;
  for (const auto& [name, tensor] : with_prefix(file, kOptimizer).tensors)
    momentum.push_back({name, tensor});
  task.optimizer().load_state(momentum, origin);
  std::erase_if(file.tensors, [](const auto& item) { return item.first.starts_with(kOptimizer); });
  task.load_state(file, origin);
  return position;
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

}  // namespace invp
