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
};
/// The files of configs/, in order of name (generated when the program is built).
const std::vector<Preset>& presets();

/// The pairs of a TOML document in the order of its lines. Throws UsageError "source:line: what is
/// wrong".
std::vector<Setting> parse_settings(std::string_view toml, const std::string& source);
/// Throws UsageError if the file is missing or no TOML.
std::vector<Setting> config_settings(const std::string& file);
/// Throws UsageError naming the nearest preset.
std::vector<Setting> preset_settings(const std::string& name);

}  // namespace invp::cli
