// The commands of detection.
#pragma once

#include "tools/options/command.h"

namespace invp::cli {

void add_detect_train(Commands& commands);
void add_detect_eval(Commands& commands);
void add_detect_predict(Commands& commands);

}  // namespace invp::cli
