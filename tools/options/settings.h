// Settings that come from files: --config FILE.toml and the presets of configs/, built into the
// program.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tools/options/options.h"

namespace invp::cli {

struct Preset {
  std::string_view name;
  std::string_view toml;
  /// "pretrain": the command in the example at its head, "#   invp COMMAND --preset NAME".
  std::string command() const;
};
/// The files of configs/, in order of name (generated when the program is built).
const std::vector<Preset>& presets();

/// The settings of a TOML document in the order of its lines. Throws UsageError "source:line: what
/// is wrong".
std::vector<Setting> parse_settings(std::string_view toml, const std::string& source);
/// Throws UsageError if the file is missing or is not TOML.
std::vector<Setting> config_settings(const std::string& file);
/// The presets that a command takes: its own. A command without presets takes those of pretraining,
/// and of them only the settings that it has.
std::vector<std::string> presets_for(const std::string& command);
/// Throws UsageError naming the nearest of them, or the command that the preset is for.
std::vector<Setting> preset_settings(const std::string& name, const std::string& command);

}  // namespace invp::cli
