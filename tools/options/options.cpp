#include "tools/options/options.h"

#include <CLI/CLI.hpp>

#include "engine/core/error.h"
#include "engine/core/text.h"

namespace invp::cli {

Options::Spec& Options::add(std::string name, std::string value_name, std::string help) {
  specs_.push_back({});
  Spec& spec = specs_.back();
  spec.name = std::move(name);
  spec.key = spec.name;
  spec.value_name = std::move(value_name);
  spec.help = std::move(help);
  spec.group = group_;
  last_ = &spec;
  return spec;
}

Options& Options::required() {
  last_->required = true;
  return *this;
}

Options& Options::not_a_setting() {
  last_->setting = false;
  return *this;
}

Options& Options::key(std::string key) {
  last_->key = std::move(key);
  return *this;
}

Options& Options::shown_default(std::string text) {
  last_->default_text = std::move(text);
  return *this;
}

const Options::Spec* Options::find(std::string_view name) const {
  for (const Spec& spec : specs_) {
    if (spec.name == name) return &spec;
  }
  return nullptr;
}

bool Options::given(std::string_view name) const {
  const Spec* spec = find(name);
  return spec != nullptr && spec->given;
}

std::vector<std::string> Options::setting_names() const {
  std::vector<std::string> names;
  for (const Spec& spec : specs_) {
    if (spec.setting) names.push_back(spec.key);
  }
  return names;
}

void Options::set(Spec& spec, const std::string& value, const std::string& origin) {
  try {
    spec.set(value);
    spec.given = true;
  } catch (const UsageError& error) {
    throw UsageError(origin + error.what());
  }
}

void Options::apply(const std::vector<Setting>& settings,
                    const std::vector<std::string>& elsewhere) {
  for (const Setting& setting : settings) {
    const auto known = std::find_if(specs_.begin(), specs_.end(), [&](const Spec& spec) {
      return spec.setting && spec.key == setting.name;
    });
    if (known == specs_.end()) {
      if (std::find(elsewhere.begin(), elsewhere.end(), setting.name) != elsewhere.end()) continue;
      throw UsageError(message(setting.origin, ": no setting is called '", setting.name,
                               "'; did you mean '", nearest(setting.name, setting_names()), "'?"));
    }
    Spec& spec = *known;
    if (spec.repeats) {
      for (const std::string& value : setting.values)
        set(spec, value, setting.origin + ": " + setting.name + " ");
      continue;
    }
    std::string joined;
    for (const std::string& value : setting.values) joined += (joined.empty() ? "" : ",") + value;
    set(spec, joined, setting.origin + ": " + setting.name + " ");
  }
}

void Options::unknown(const std::string& argument) const {
  if (!argument.starts_with("-")) {
    throw UsageError(positionals_.empty()
                         ? message("takes no argument '", argument, "'; options begin with --")
                         : message("one argument too many: '", argument, "'"));
  }
  std::vector<std::string> names;
  for (const Spec& spec : specs_) names.push_back(spec.name);
  const std::string word = argument.substr(argument.find_first_not_of('-') == std::string::npos
                                               ? argument.size()
                                               : argument.find_first_not_of('-'));
  const std::string bare = word.substr(0, word.find('='));
  throw UsageError(message("no option ", argument.substr(0, argument.find('=')),
                           "; did you mean --", nearest(bare, names), "?"));
}

void Options::tokenize(const std::vector<std::string>& arguments) {
  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  std::vector<std::pair<CLI::Option*, const Spec*>> known;
  for (const Spec& spec : specs_) {
    CLI::Option* option = spec.value_name.empty() ? app.add_flag("--" + spec.name)
                                                  : app.add_option("--" + spec.name)->expected(1);
    option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    known.emplace_back(option, &spec);
  }
  try {
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
    app.parse(reversed);
  } catch (const CLI::ParseError&) {
    // With extras allowed, what is left to go wrong is an option at the end of the line without its
    // value.
    const std::string name = arguments.empty() ? "" : arguments.back();
    throw UsageError(message(name, " wants a value"));
  }
  for (const auto& [option, spec] : known) {
    for (const std::string& value : option->results())
      command_line_.emplace_back(spec->name, value);
  }
  for (const std::string& argument : app.remaining()) {
    if (argument == "--") continue;
    if (argument.starts_with("-") && argument.size() > 1) unknown(argument);
    const bool any_number = !positionals_.empty() && positionals_.back().repeats;
    if (positional_values_.size() == positionals_.size() && !any_number) unknown(argument);
    positional_values_.push_back(argument);
  }
}

std::string Options::peek(std::string_view name) const {
  std::string value;
  for (const auto& [given_name, given_value] : command_line_) {
    if (given_name == name) value = given_value;
  }
  return value;
}

void Options::finish() {
  for (const auto& [name, value] : command_line_) {
    set(const_cast<Spec&>(*find(name)), value, "--" + name + " ");
  }
  for (std::size_t i = 0; i < positionals_.size(); ++i) {
    const bool optional = positionals_[i].name.starts_with('[');
    if (i >= positional_values_.size()) {
      if (optional) break;
      throw UsageError(message(positionals_[i].name, " is missing: ", positionals_[i].help));
    }
    positionals_[i].set(positional_values_[i]);
  }
  for (std::size_t i = positionals_.size(); i < positional_values_.size(); ++i)
    positionals_.back().set(positional_values_[i]);
  for (const Spec& spec : specs_) {
    if (spec.required && !spec.given)
      throw UsageError(message("--", spec.name, ' ', spec.value_name, " is missing: ", spec.help));
  }
}

std::string Options::to_toml() const {
  std::string text;
  std::string heading;
  for (const Spec& spec : specs_) {
    const std::string value = spec.setting ? spec.toml() : "";
    if (value.empty()) continue;
    if (spec.group != heading) {
      heading = spec.group;
      text += (text.empty() ? "# " : "\n# ") + heading + "\n";
    }
    text += spec.key + " = " + value + "\n";
  }
  return text;
}

}  // namespace invp::cli
