// The text of --help: 80 columns, what each option takes, its default.
#include <algorithm>

#include "engine/core/text.h"
#include "tools/options/options.h"

namespace invp::cli {

namespace {

constexpr std::size_t kColumns = 80;
constexpr std::size_t kHelpColumn = 29;
constexpr char kFirmSpace = '\x1f';  // printed as a space, never broken at

std::string wrapped(const std::string& text, std::size_t indent) {
  std::string out;
  std::size_t column = indent;
  std::string word;
  const auto flush = [&] {
    if (word.empty()) return;
    if (column > indent && column + 1 + word.size() > kColumns) {
      out += '\n' + std::string(indent, ' ');
      column = indent;
    } else if (column > indent) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
    word.clear();
  };
  for (const char c : text) {
    if (c == ' ') {
      flush();
    } else {
      word += c == kFirmSpace ? ' ' : c;
    }
  }
  flush();
  return out;
}

std::string entry(const std::string& left, const std::string& help) {
  std::string line = "  " + left;
  if (line.size() + 2 > kHelpColumn) {
    line += '\n' + std::string(kHelpColumn, ' ');
  } else {
    line.resize(kHelpColumn, ' ');
  }
  return line + wrapped(help, kHelpColumn) + '\n';
}

std::string explained(const Options::Spec& spec) {
  std::string text = spec.help;
  if (!spec.choices.empty()) text += (text.empty() ? "" : ": ") + join_choices(spec.choices);
  if (spec.repeats) text += " (may be repeated)";
  if (spec.required) return text + " (required)";
  if (!spec.default_text.empty()) {
    std::string shown = "(default: " + spec.default_text + ")";
    std::replace(shown.begin(), shown.end(), ' ', kFirmSpace);
    text += ' ' + shown;
  }
  return text;
}

}  // namespace

std::string help_text(const Options& options, const std::string& usage) {
  std::string text = usage;
  if (!options.positionals_.empty()) {
    text += "\nArguments\n";
    for (const Options::Spec& spec : options.positionals_) text += entry(spec.name, spec.help);
  }
  std::string heading;
  for (const Options::Spec& spec : options.specs_) {
    if (spec.group != heading) {
      heading = spec.group;
      text += '\n' + heading + '\n';
    }
    text += entry("--" + spec.name + (spec.value_name.empty() ? "" : ' ' + spec.value_name),
                  explained(spec));
  }
  return text;
}

}  // namespace invp::cli
