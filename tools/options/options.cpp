#include "tools/options/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "engine/core/error.h"
#include "engine/core/text.h"

namespace invp::cli {

namespace {

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string with_commas(const std::vector<std::string>& items) {
  std::string text;
  for (std::size_t i = 0; i < items.size(); ++i) text += (i == 0 ? "" : ",") + items[i];
  return text;
}

/// The value as TOML writes it; empty: unset.
std::string toml_value(const Options::Spec& spec) {
  std::vector<std::string> items = spec.values();
  if (items.empty()) return "";
  if (spec.quoted) std::ranges::transform(items, items.begin(), quoted);
  return spec.list ? "[" + with_commas(items) + "]" : items.front();
}

}  // namespace

Options::Spec& Options::add(std::string name, std::string value_name, std::string help) {
  specs_.push_back({});
  Spec& spec = specs_.back();
  spec.name = std::move(name);
  spec.key = spec.name;
  spec.value_name = std::move(value_name);
  spec.help = std::move(help);
  spec.group = group_;
  spec.decides = decides_;
  spec.reader = reader_;
  return spec;
}

Options& Options::required() {
  specs_.back().required = true;
  return needed();
}

Options& Options::needed() {
  specs_.back().reader = Reader::kEveryone;
  return *this;
}

Options& Options::common() {
  specs_.back().reader = Reader::kMany;
  return *this;
}

Options& Options::rare() {
  specs_.back().reader = Reader::kFew;
  return *this;
}

Options& Options::listed(std::vector<std::string> values) {
  specs_.back().choices = std::move(values);
  return *this;
}

Options& Options::notes(std::vector<std::string> notes) {
  Spec& spec = specs_.back();
  CHECK(notes.size() == spec.choices.size(), "[options] --", spec.name, " has ",
        spec.choices.size(), " choices, but ", notes.size(), " notes");
  spec.notes = std::move(notes);
  return *this;
}

Options& Options::retired(std::string value, std::string instead) {
  Spec& spec = specs_.back();
  spec.set = [set = std::move(spec.set), value = std::move(value),
              instead = std::move(instead)](const std::string& given) {
    if (given == value) throw UsageError(message("no longer takes '", value, "': use ", instead));
    set(given);
  };
  return *this;
}

Options& Options::not_a_setting() {
  specs_.back().setting = false;
  return *this;
}

Options& Options::decides() {
  specs_.back().decides = Decides::kWeights;
  return *this;
}

Options& Options::does_not_decide() {
  specs_.back().decides = Decides::kNothing;
  return *this;
}

Options& Options::key(std::string key) {
  specs_.back().key = std::move(key);
  return *this;
}

Options& Options::shown_default(std::string text) {
  specs_.back().default_text = std::move(text);
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
    set(spec, with_commas(setting.values), setting.origin + ": " + setting.name + " ");
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
  for (Spec& spec : specs_) spec.initial = with_commas(spec.values());
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
    // As extras are allowed, the only error left is an option without a value at the end of the
    // line.
    const std::string name = arguments.empty() ? "" : arguments.back();
    throw UsageError(message(name, " needs a value"));
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
    const std::string value = spec.setting ? toml_value(spec) : "";
    if (value.empty()) continue;
    if (spec.group != heading) {
      heading = spec.group;
      text += (text.empty() ? "# " : "\n# ") + heading + "\n";
    }
    text += spec.key + " = " + value + "\n";
  }
  return text;
}

std::vector<std::pair<std::string, std::string>> Options::deciding() const {
  std::vector<std::pair<std::string, std::string>> named;
  for (const Spec& spec : specs_) {
    CHECK(spec.decides, "[options] --", spec.name,
          " does not say whether it decides the weights of a run");
    if (spec.decides == Decides::kWeights)
      named.emplace_back(spec.name, with_commas(spec.values()));
  }
  return named;
}

}  // namespace invp::cli
