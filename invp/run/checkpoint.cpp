#include "invp/run/checkpoint.h"

#include <cmath>
#include <map>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/text.h"
#include "engine/files/safetensors.h"
#include "invp/run/conditions.h"

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

/// Names, types and shapes are those of the task, all of them and no others.
void check_tensors(const TensorFile& file, const TensorFile& wanted, const std::string& origin) {
  std::map<std::string_view, const Tensor*> given;
  for (const auto& [name, tensor] : file.tensors) given[name] = &tensor;
  for (const auto& [name, tensor] : wanted.tensors) {
    const auto found = given.find(name);
    CHECK(found != given.end(), origin, ": no tensor '", name,
          "' in the checkpoint; it is damaged, or of a network with other options");
    const Tensor& held = *found->second;
    CHECK(held.shape() == tensor.shape() && held.dtype() == tensor.dtype(), origin, ": '", name,
          "' is ", held.dtype(), held.shape(), ", this run needs ", tensor.dtype(), tensor.shape(),
          "; was it trained on another data set or with other options?");
    given.erase(found);
  }
  CHECK(given.empty(), origin, ": tensor '", printable(std::string(given.begin()->first)),
        "' is none of this run's; the file is damaged, or of a network with other options");
}

/// A damaged element of a file without checksums may be a number that no training leaves.
void check_numbers(const TensorFile& file, const std::string& origin) {
  for (const auto& item : file.tensors) {
    const std::string& name = item.first;
    const Tensor& tensor = item.second;
    const auto refuse = [&](std::size_t at, float value) {
      fail(origin, ": '", printable(name), "' holds ", value, " at ", at,
           ", which no run of ours writes; the file is damaged, and has no checksums");
    };
    const bool variance = name.ends_with(".running_var");
    const auto check = [&](const auto& values) {
      for (std::size_t i = 0; i < values.size(); ++i) {
        const auto value = static_cast<float>(values[i]);
        if (!std::isfinite(value) || (variance && value < 0)) refuse(i, value);
      }
    };
    switch (tensor.dtype()) {
      case DType::kF32: check(tensor.span<float>()); break;
      case DType::kBF16: check(tensor.span<BFloat16>()); break;
      default: break;
    }
  }
}

/// What restore() does once the checkpoint is known to be of the run.
Position fill(const TensorFile& file, Task& task, std::int64_t steps_per_epoch,
              const std::string& origin) {
  const Position position =
      read_position(file.metadata, task.loss_names(), steps_per_epoch, origin);
  if (!file.has_checksums) check_numbers(file, origin);
  TensorFile state{.has_checksums = file.has_checksums};
  std::vector<SgdParameter> momentum;
  for (const auto& [name, tensor] : file.tensors) {
    if (name.starts_with(kOptimizer))
      momentum.push_back({name.substr(kOptimizer.size()), tensor});
    else
      state.tensors.emplace_back(name, tensor);
  }
  CHECK(momentum.empty() == (position.progress.step == 0), origin, ": holds ",
        momentum.empty() ? "no" : "a", " momentum after ", position.progress.step,
        " steps; the file is damaged");
  if (checkpoint_version(file.metadata) == 2) check_tensors(state, task.state(), origin);
  task.optimizer().load_state(momentum, origin);
  task.load_state(state, origin);
  return position;
}

/// Its `spread` tensor whole, of which the file has this rank's rows.
void write_with_spread_rows(const std::filesystem::path& path, const TensorFile& file,
                            const SpreadRows& spread) {
  std::vector<StoredTensor> stored = stored_tensors(file.tensors);
  for (StoredTensor& tensor : stored) {
    if (tensor.name != spread.name()) continue;
    std::uint64_t row = bits_of(tensor.type) / 8;
    for (std::size_t i = 1; i < tensor.extents.size(); ++i)
      row *= static_cast<std::uint64_t>(tensor.extents[i]);
    tensor.extents.front() = spread.rows();
    tensor.bytes = row * static_cast<std::uint64_t>(spread.rows());
  }
  write_safetensors_by_pieces(path, stored, file.metadata,
                              [&](std::size_t i, const AppendElements& append) {
                                if (stored[i].name == spread.name()) return spread.give(append);
                                const Tensor host = file.tensors[i].second.to(kCpu);
                                append({static_cast<const std::byte*>(host.raw()), host.nbytes()});
                              });
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
  write_conditions(computing_conditions(task.device()), file.metadata);
  const SpreadRows* const spread = task.spread_rows();
  if (spread != nullptr) return write_with_spread_rows(path, file, *spread);
  write_safetensors(path, file);
}

Checkpoint read_checkpoint(const std::filesystem::path& path) {
  Checkpoint checkpoint{.path = path, .file = read_safetensors(path)};
  CHECK(!checkpoint_kind(checkpoint.file.metadata).empty(), path.string(),
        ": not a checkpoint of invp");
  return checkpoint;
}

Position restore(const Checkpoint& checkpoint, const std::string& command, Task& task,
                 std::int64_t steps_per_epoch, const RunIdentity& identity) {
  const std::string origin = checkpoint.path.string();
  const Metadata& metadata = checkpoint.file.metadata;
  CHECK(is_of(metadata, command), origin, ": not a checkpoint of ", command,
        ", so a run cannot go on from it");
  check_identity(metadata, identity, origin);
  try {
    return fill(checkpoint.file, task, steps_per_epoch, origin);
  } catch (const Error& error) {
    throw DamagedCheckpoint(error.what());
  }
}

}  // namespace invp
