// A subcommand: what it says about itself, the options it takes, and what it does.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "tools/options/options.h"

namespace invp::cli {

/// The results named in a subcommand's help, in that order: the last line of stdout with --json.
using Results = nlohmann::ordered_json;

struct CommandText {
  std::string name;         ///< "pretrain", "data info"
  std::string arguments;    ///< "--data PATH [options]"
  std::string summary;      ///< one line for the list of commands
  std::string description;  ///< what it does; whole lines, at most 80 columns
  std::string examples;     ///< whole command lines
};

class Command {
 public:
  virtual ~Command() = default;
  virtual CommandText text() const = 0;
  virtual void declare(Options& options) = 0;
  /// Prints what is for people; returns what --json prints. Throws UsageError (exit 2), Error (exit
  /// 1) or Stopped (engine/core/stop.h: exit 128 + signal).
  virtual Results run() = 0;
  /// After run(): 1 if it did its work and found what a script must not miss.
  virtual int exit_code() const { return 0; }
};

using Commands = std::vector<std::unique_ptr<Command>>;

// Each in a file of its own in commands/, data/, op/ or bench/.
void add_pretrain(Commands& commands);
void add_extract(Commands& commands);
void add_knn(Commands& commands);
void add_linear(Commands& commands);
void add_finetune(Commands& commands);
void add_tsne(Commands& commands);
void add_detect(Commands& commands);
void add_convert(Commands& commands);
void add_checkpoint_verify(Commands& commands);
void add_data(Commands& commands);
void add_op(Commands& commands);
void add_objective(Commands& commands);
void add_bench(Commands& commands);
void add_report(Commands& commands);
void add_plan(Commands& commands);
void add_doctor(Commands& commands);
/// These two tell of all `commands`, which must stay where they are.
void add_completion(Commands& commands);
void add_man(Commands& commands);

/// Names of the settings of a pretraining run: a run's config.toml also serves the commands that
/// use its checkpoint.
std::vector<std::string> run_setting_names();

}  // namespace invp::cli
