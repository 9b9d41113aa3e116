// The options of one subcommand: declared once, with name, range, default and help text bound to
// the variable they set, and from that parsed, checked, explained (--help), read from TOML and
// written back to it.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace invp::cli {

/// The person wrote something that cannot be run: exit code 2, one line.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Values an option takes: [low, high], or (low, high] with `above`.
struct Bounds {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool above = false;
};
inline constexpr Bounds kPositive{0, std::numeric_limits<double>::infinity(), true};
inline constexpr Bounds kProbability{0, 1};

/// One `name = value` of a TOML file, with where it stands.
struct Setting {
  std::string name;
  std::vector<std::string> values;
  std::string origin;  ///< "run.toml:3"
};

class Options {
 public:
  struct Spec {
    std::string name;        ///< without dashes
    std::string value_name;  ///< "N", "FILE"; empty for a flag
    std::string help;
    std::string group;
    std::string default_text;
    std::vector<std::string> choices;
    std::function<void(const std::string& value)>
        set;                            ///< throws UsageError without naming the option
    std::function<std::string()> toml;  ///< the value now, as TOML writes it; empty: unset
    std::string key;                    ///< its name in TOML files, where that is another
    bool repeats = false;
    bool required = false;
    bool setting = true;  ///< part of a run's settings: allowed in TOML, written to config.toml
    bool given = false;
  };

  /// Options declared from here on stand under this heading in --help.
  void group(std::string heading) { group_ = std::move(heading); }

  Options& flag(std::string name, bool& value, std::string help);
  Options& integer(std::string name, std::int64_t& value, Bounds bounds, std::string help);
  Options& integer(std::string name, int& value, Bounds bounds, std::string help);
  Options& number(std::string name, double& value, Bounds bounds, std::string help);
  Options& number(std::string name, float& value, Bounds bounds, std::string help);
  Options& text(std::string name, std::string& value, std::string value_name, std::string help);
  Options& choice(std::string name, std::string& value, std::vector<std::string> choices,
                  std::string help);
  /// Exactly `count` numbers between commas; with 0 any number of them.
  Options& numbers(std::string name, std::vector<double>& value, std::size_t count, Bounds bounds,
                   std::string help);
  /// Any number of whole numbers between commas.
  Options& integers(std::string name, std::vector<std::int64_t>& value, Bounds bounds,
                    std::string help);
  Options& repeated(std::string name, std::vector<std::string>& value, std::string value_name,
                    std::string help);
  /// An argument without a name; "[NAME]" may be left out.
  Options& positional(std::string name, std::string& value, std::string help);
  /// One argument or more, the last of a command line.
  Options& positionals(std::string name, std::vector<std::string>& values, std::string help);

  /// A choice bound to an enumerator: {{"cosine", Schedule::kCosine}, ...}.
  template <class Enum>
  Options& choice(std::string name, Enum& value, std::vector<std::pair<std::string, Enum>> names,
                  std::string help);

  // Refinements of the option declared last.
  Options& required();
  Options& not_a_setting();
  /// TOML files call it `key`: for options whose name means something else among the settings of a
  /// run.
  Options& key(std::string key);
  /// What --help shows as the default: for values whose unset state has a meaning of its own.
  Options& shown_default(std::string text);

  /// Applies settings of a file in order. A name that is no option of this subcommand is an error
  /// naming the nearest, unless it is in `elsewhere` (the settings of a run serve other subcommands
  /// too).
  void apply(const std::vector<Setting>& settings, const std::vector<std::string>& elsewhere);
  /// Splits the command line. Values are checked and set by finish().
  void tokenize(const std::vector<std::string>& arguments);
  /// The last value on the command line of an option, before anything is set; empty if not given.
  std::string peek(std::string_view name) const;
  /// Sets what the command line gave, then checks that nothing required is missing.
  void finish();

  bool given(std::string_view name) const;
  const std::vector<Spec>& specs() const { return specs_; }
  std::vector<std::string> setting_names() const;
  /// Every setting as resolved, as TOML that --config reads back.
  std::string to_toml() const;

 private:
  Spec& add(std::string name, std::string value_name, std::string help);
  Options& add_choice(std::string name, std::vector<std::string> choices, std::string help,
                      std::function<void(std::size_t)> set, std::function<std::size_t()> get);
  const Spec* find(std::string_view name) const;
  void set(Spec& spec, const std::string& value, const std::string& origin);
  [[noreturn]] void unknown(const std::string& argument) const;

  std::vector<Spec> specs_;
  std::vector<Spec> positionals_;
  std::string group_;
  Spec* last_ = nullptr;
  std::vector<std::pair<std::string, std::string>> command_line_;  ///< (name, value) in order
  std::vector<std::string> positional_values_;

  friend std::string help_text(const Options&, const std::string& usage);
};

template <class Enum>
Options& Options::choice(std::string name, Enum& value,
                         std::vector<std::pair<std::string, Enum>> names, std::string help) {
  std::vector<std::string> choices;
  for (const auto& [word, enumerator] : names) choices.push_back(word);
  return add_choice(
      std::move(name), std::move(choices), std::move(help),
      [&value, names](std::size_t i) { value = names[i].second; },
      [&value, names] {
        std::size_t i = 0;
        while (names[i].second != value) ++i;
        return i;
      });
}

/// Usage, options by group, wrapped to 80 columns, with defaults and ranges.
std::string help_text(const Options& options, const std::string& usage);

/// Strict: the whole text must be a number; finite. Throws UsageError.
double parse_number(const std::string& text);
std::int64_t parse_integer(const std::string& text);
/// "0.03", "1e-05": the shortest that reads back the same.
std::string format_number(double value);
std::vector<std::string> split(const std::string& text, char separator);

}  // namespace invp::cli
