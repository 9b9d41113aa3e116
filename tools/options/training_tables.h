// The whole option tables of the commands that train, to be walked without running a command.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tools/options/options.h"

namespace invp::cli {

struct TrainingTable {
  std::string command;  ///< "pretrain"
  Options options;
  std::shared_ptr<void> variables;  ///< that the options set
};

/// Of pretrain, linear and finetune, at their defaults.
std::vector<TrainingTable> training_tables();

}  // namespace invp::cli
