#include "invp/run/supervised_checkpoint.h"

#include "engine/core/error.h"
#include "engine/files/safetensors.h"

namespace invp {

namespace {

constexpr const char* kKind = "invp-supervised-checkpoint-1";
constexpr std::string_view kOptimizer = "optimizer.";
constexpr std::string_view kPosition = "position.";
constexpr std::string_view kBest = "position.best.";
constexpr std::string_view kBestEpoch = "position.best_epoch.";

void write_position(const SupervisedPosition& position, const std::vector<std::string>& losses,
                    Metadata& metadata) {
  const auto put = [&](const std::string& key, const std::string& value) {
    metadata[std::string(kPosition) + key] = value;
  };
  put("epoch", std::to_string(position.epoch));
  put("step", std::to_string(position.step));
  put("global_step", std::to_string(position.global_step));
  put("images", std::to_string(position.images));
  put("seconds", exact_text(position.seconds));
  put("wait_seconds", exact_text(position.wait_seconds));
  put("last_loss", exact_text(position.last_loss));
  for (std::size_t i = 0; i < losses.size(); ++i)
    put("sum." + losses[i], exact_text(position.loss_sums[i]));
  for (const auto& [name, best] : position.best) {
    metadata[std::string(kBest) + name] = exact_text(best.value);
    metadata[std::string(kBestEpoch) + name] = std::to_string(best.epoch);
  }
}

SupervisedPosition read_position(const Metadata& metadata, const std::vector<std::string>& losses,
                                 const std::string& origin) {
  const MetadataReader read(metadata, std::string(kPosition), origin);
  SupervisedPosition position{.epoch = static_cast<int>(read.integer("epoch")),
                              .step = read.integer("step"),
                              .global_step = read.integer("global_step"),
                              .images = read.integer("images"),
                              .loss_sums = {},
                              .seconds = read.real("seconds"),
                              .wait_seconds = read.real("wait_seconds"),
                              .last_loss = read.real("last_loss"),
                              .best = {}};
  for (const std::string& loss : losses) position.loss_sums.push_back(read.real("sum." + loss));
  const MetadataReader best(metadata, std::string(kBest), origin);
  const MetadataReader best_epoch(metadata, std::string(kBestEpoch), origin);
  for (const auto& [key, value] : metadata) {
    if (!key.starts_with(kBest)) continue;
    const std::string name = key.substr(kBest.size());
    position.best[name] = {.value = best.real(name),
                           .epoch = static_cast<int>(best_epoch.integer(name))};
  }
  return position;
}

}  // namespace

void save_supervised(const std::filesystem::path& path, SupervisedTask& task,
                     const SupervisedPosition& position, const RunIdentity& identity) {
  TensorFile file = task.state();
  for (const SgdParameter& item : task.optimizer().state())
    file.tensors.emplace_back(std::string(kOptimizer) + item.name, item.tensor);
  file.metadata["kind"] = kKind;
  write_identity(identity, file.metadata);
  write_position(position, task.loss_names(), file.metadata);
  write_safetensors(path, file);
}

SupervisedPosition load_supervised(const std::filesystem::path& path, SupervisedTask& task,
                                   const SupervisedConfig& config) {
  const std::string origin = path.string();
  TensorFile file = read_safetensors(path);
  CHECK(checkpoint_kind(file.metadata) == kKind, origin, ": not a checkpoint of ", config.command,
        ", so a run cannot go on from it");
  check_identity(file.metadata, config.identity, origin);
  SupervisedPosition position = read_position(file.metadata, task.loss_names(), origin);
  std::vector<SgdParameter> momentum;
  for (const auto& [name, tensor] : with_prefix(file, kOptimizer).tensors)
    momentum.push_back({name, tensor});
  task.optimizer().load_state(momentum, origin);
  std::erase_if(file.tensors, [](const auto& item) { return item.first.starts_with(kOptimizer); });
  task.load_state(file, origin);
  return position;
}

}  // namespace invp
