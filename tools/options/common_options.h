// The options that every command has: --config, --preset, --json, --help.
#pragma once

#include <string>

#include "tools/options/options.h"

namespace invp::cli {

struct CommonOptions {
  std::string config;
  std::string preset;
  bool json = false;
  bool help = false;
};

/// None of them is a setting: --config and --preset stand for the single options that they set.
/// `command`: "pretrain", whose presets the help names.
void declare_common(Options& options, CommonOptions& common, const std::string& command);

}  // namespace invp::cli
