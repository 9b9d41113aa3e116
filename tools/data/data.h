// The actions of invp data, one per file.
#pragma once

#include "tools/options/command.h"

namespace invp::cli {

void add_data_info(Commands& commands);
void add_data_check(Commands& commands);
void add_data_show(Commands& commands);
void add_data_apply(Commands& commands);
void add_data_synthesize(Commands& commands);
void add_data_pack(Commands& commands);

}  // namespace invp::cli
