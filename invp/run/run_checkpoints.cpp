#include "invp/run/run_checkpoints.h"

#include "engine/core/stop.h"
#include "engine/files/atomic_file.h"
#include "invp/run/checkpoint.h"

namespace invp {

bool all_steps_done(const RunConfig& config, const Position& position) {
  return config.steps > 0 && position.progress.step >= config.steps;
}

bool RunCheckpoints::due_by_steps(const Position& position) const {
  return config_.save_steps > 0 && position.progress.epoch_step % config_.save_steps == 0;
}

bool RunCheckpoints::due_by_clock() const {
  return config_.save_steps == 0 && since_save_.seconds() > 60 * config_.save_minutes;
}

void RunCheckpoints::save(const std::vector<std::string>& names, const Position& position) {
  const std::filesystem::path first = folder_.checkpoint(names.front());
  set_unsaved_work(true);
  save_checkpoint(first, config_.command, task_, position, config_.identity);
  since_save_.restart();
  observer_.checkpoint_written(first.string());
  for (std::size_t i = 1; i < names.size(); ++i) {
    put_in_place(first, names[i], position);
    observer_.checkpoint_written(folder_.checkpoint(names[i]).string());
  }
  set_unsaved_work(false);
}

void RunCheckpoints::put_in_place(const std::filesystem::path& checkpoint, const std::string& name,
                                  const Position& position) {
  const std::filesystem::path path = folder_.checkpoint(name);
  if (!link_file(checkpoint, path))
    save_checkpoint(path, config_.command, task_, position, config_.identity);
}

std::vector<std::string> RunCheckpoints::names_of_epoch(int epoch, const Position& position) const {
  std::vector<std::string> names;
  const auto best = position.best.find(config_.best_by);
  if (best != position.best.end() && best->second.epoch == epoch) names.emplace_back("best");
  const bool last = epoch == config_.epochs || all_steps_done(config_, position);
  if (config_.save_every > 0 && (epoch % config_.save_every == 0 || last))
    names.push_back(epoch_checkpoint_name(epoch));
  names.emplace_back("last");
  return names;
}

void RunCheckpoints::settle(const std::filesystem::path& checkpoint, const Position& position) {
  const Progress& at = position.progress;
  if (at.epoch == 1 || at.epoch_step > 0) return;
  for (const std::string& name : names_of_epoch(at.epoch - 1, position))
    put_in_place(checkpoint, name, position);
}

}  // namespace invp
