#include "tools/options/training_tables.h"

#include "tools/options/common_options.h"
#include "tools/options/detect_options.h"
#include "tools/options/finetune_options.h"
#include "tools/options/linear_options.h"
#include "tools/options/pretrain_options.h"

namespace invp::cli {

namespace {

template <class Settings>
TrainingTable table_of(const char* command) {
  struct Variables {
    Settings settings;
    CommonOptions common;
  };
  const auto variables = std::make_shared<Variables>();
  TrainingTable table{.command = command, .options = {}, .variables = variables};
  variables->settings.declare(table.options);
  declare_common(table.options, variables->common, command);
  return table;
}

}  // namespace

std::vector<TrainingTable> training_tables() {
  return {table_of<PretrainOptions>("pretrain"), table_of<LinearOptions>("linear"),
          table_of<FinetuneOptions>("finetune"), table_of<DetectOptions>("detect train")};
}

}  // namespace invp::cli
