#include "tools/options/common_options.h"

#include <algorithm>

#include "tools/options/settings.h"

namespace invp::cli {

namespace {

/// Those of the command's presets that set one of its options or more.
std::vector<std::string> useful_presets(const Options& options, const std::string& command) {
  const std::vector<std::string> fitting = presets_for(command);
  std::vector<std::string> names;
  for (const Preset& preset : presets()) {
    if (std::ranges::find(fitting, preset.name) == fitting.end()) continue;
    if (std::ranges::any_of(options.setting_names(), [&](const std::string& key) {
          return preset.toml.find('\n' + key + " = ") != std::string_view::npos;
        }))
      names.emplace_back(preset.name);
  }
  return names;
}

bool has_own(const std::string& command) {
  return std::ranges::any_of(presets(),
                             [&](const Preset& preset) { return preset.command() == command; });
}

}  // namespace

void declare_common(Options& options, CommonOptions& common, const std::string& command) {
  const std::vector<std::string> names = useful_presets(options, command);
  const bool own = has_own(command);
  options.group("Settings and output", Decides::kNothing);
  options
      .text("preset", common.preset, "NAME",
            names.empty() ? "built-in settings; there are none for this command"
            : own         ? "built-in settings; --config and the command line win over them"
                          : "the settings of a preset of invp pretrain that this command has too")
      .listed(names)
      .not_a_setting();
  if (own) options.common();
  options
      .text("config", common.config, "FILE",
            "settings from a TOML file, by the long names of options; the command line wins")
      .not_a_setting()
      .common();
  options.flag("json", common.json, "print the results as one JSON object, the last line of stdout")
      .not_a_setting()
      .common();
  options.flag("help", common.help, "print this text").not_a_setting().common();
}

}  // namespace invp::cli
