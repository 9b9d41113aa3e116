// The options of one subcommand. Each is declared once: its name, range and help text, and the
// variable that it sets, which holds the default. Parsing, checks, --help, TOML and the identity of
// a run come from that declaration.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace invp::cli {

/// The command line or a settings file asks for something that cannot be run: exit code 2, one
/// line.
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

/// Does an option decide the weights that a run ends with? A run is only resumed with the same
/// values of those that do.
enum class Decides { kWeights, kNothing };

/// For whom --help explains an option, in the order of its text.
enum class Reader {
  kEveryone,       ///< without it nothing runs
  kOfThisCommand,  ///< the command's own options, under headings of their own
  kMany,
  kFew,
};

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
    std::vector<std::string> notes;  ///< on each choice; none: they speak for themselves
    /// Throws UsageError without naming the option.
    std::function<void(const std::string& value)> set;
    /// The value now, one text per item of a list; none: unset. Equal exactly if the values are.
    std::function<std::vector<std::string>()> values;
    std::string key;      ///< its name in TOML files, where that is another
    bool quoted = false;  ///< TOML writes its items in quotes
    bool list = false;    ///< TOML writes them in brackets
    std::optional<Decides> decides;
    std::string initial;  ///< its value before anything was set
    Reader reader = Reader::kFew;
    bool repeats = false;
    bool required = false;
    bool setting = true;  ///< part of a run's settings: allowed in TOML, written to config.toml
    bool given = false;
  };

  /// Options declared from here on stand under this heading in --help. Commands that train say of
  /// each group, or of each option, whether it decides the weights.
  void group(std::string heading, std::optional<Decides> decides = std::nullopt) {
    group_ = std::move(heading);
    decides_ = decides;
    reader_ = Reader::kFew;
  }
  /// The same for what a command is about: --help shows these before the common options.
  void main_group(std::string heading, std::optional<Decides> decides = std::nullopt) {
    group(std::move(heading), decides);
    reader_ = Reader::kOfThisCommand;
  }

  Options& flag(std::string name, bool& value, std::string help);
  Options& integer(std::string name, std::int64_t& value, Bounds bounds, std::string help);
  Options& integer(std::string name, int& value, Bounds bounds, std::string help);
  /// A whole number that may be written short: 1280000, 1.28M or 1.28e6.
  Options& count(std::string name, std::int64_t& value, Bounds bounds, std::string help);
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
  /// An argument without a name; "[NAME]" may be left out. A shell offers `values`; they are not
  /// checked.
  Options& positional(std::string name, std::string& value, std::string help,
                      std::vector<std::string> values = {});
  /// One argument or more, the last of a command line.
  Options& positionals(std::string name, std::vector<std::string>& values, std::string help);

  /// A choice bound to an enumerator: {{"cosine", Schedule::kCosine}, ...}.
  template <class Enum>
  Options& choice(std::string name, Enum& value, std::vector<std::pair<std::string, Enum>> names,
                  std::string help);

  // Refinements of the option declared last.
  /// Files of older versions may give `value`: the error then says what to use instead.
  Options& retired(std::string value, std::string instead);
  Options& required();
  /// Not always required, but what a newcomer has to give.
  Options& needed();
  Options& common();
  Options& rare();
  /// Values that --help lists, where no list of choices checks them.
  Options& listed(std::vector<std::string> values);
  /// A few words on each choice, in the order of the choices.
  Options& notes(std::vector<std::string> notes);
  Options& not_a_setting();
  Options& decides();
  Options& does_not_decide();
  /// The option's name in TOML files, where its own name means something else among the settings of
  /// a run.
  Options& key(std::string key);
  /// What --help shows as the default, where it depends on other options.
  Options& shown_default(std::string text);

  /// Applies settings of a file in order. Names in `elsewhere` that are no options here are passed
  /// over: a run's settings serve other subcommands too. Throws UsageError naming the nearest
  /// setting for any other name.
  void apply(const std::vector<Setting>& settings, const std::vector<std::string>& elsewhere);
  /// Splits the command line. Values are checked and set by finish().
  void tokenize(const std::vector<std::string>& arguments);
  /// The last value on the command line of an option, before anything is set; empty if not given.
  std::string peek(std::string_view name) const;
  /// Sets what the command line gave, then checks that nothing required is missing.
  void finish();

  bool given(std::string_view name) const;
  const std::vector<Spec>& specs() const { return specs_; }
  /// The arguments without a name.
  const std::vector<Spec>& positionals() const { return positionals_; }
  std::vector<std::string> setting_names() const;
  /// Every setting as resolved, as TOML that --config reads back.
  std::string to_toml() const;
  /// Name and value of every option that decides the weights, in order of declaration, also of
  /// those left at their default: flags as true or false, choices by word, numbers in the fewest
  /// digits that read back the same, lists with commas. Two texts are equal exactly if the values
  /// are. Throws Error naming an option that does not say whether it decides.
  std::vector<std::pair<std::string, std::string>> deciding() const;
  /// The default of an option, in the same form.
  std::string default_of(std::string_view name) const { return find(name)->initial; }

 private:
  Spec& add(std::string name, std::string value_name, std::string help);
  template <class Value>
  Options& add_number(std::string name, Value& value, Bounds bounds, std::string help);
  Options& add_choice(std::string name, std::vector<std::string> choices, std::string help,
                      std::function<void(std::size_t)> set, std::function<std::size_t()> get);
  const Spec* find(std::string_view name) const;
  void set(Spec& spec, const std::string& value, const std::string& origin);
  [[noreturn]] void unknown(const std::string& argument) const;

  std::vector<Spec> specs_;
  std::vector<Spec> positionals_;
  std::string group_;
  std::optional<Decides> decides_;
  Reader reader_ = Reader::kFew;
  std::vector<std::pair<std::string, std::string>> command_line_;  ///< (name, value) in order
  std::vector<std::string> positional_values_;
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

/// Usage, then the options: needed, of this command, common, and the rest by group. Wrapped to 80
/// columns, with defaults.
std::string help_text(const Options& options, const std::string& usage);

/// Strict: the whole text must be a number; finite. Throws UsageError.
double parse_number(const std::string& text);
std::int64_t parse_integer(const std::string& text);
/// The same of "1e9", and of "14k", "1.28M" and "1G": thousands, millions, billions.
std::int64_t parse_count(const std::string& text);
/// "0.03", "1e-05": the shortest that reads back the same.
std::string format_number(double value);
std::string format_number(float value);
std::vector<std::string> split(const std::string& text, char separator);

}  // namespace invp::cli
