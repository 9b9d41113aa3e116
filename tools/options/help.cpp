// The text of --help: 80 columns; what each option takes, its default, its choices.
#include <algorithm>

#include "engine/core/text.h"
#include "tools/options/options.h"

namespace invp::cli {

namespace {

constexpr std::size_t kColumns = 80;
constexpr std::size_t kHelpColumn = 29;
constexpr std::size_t kChoiceColumn = kHelpColumn + 2;
constexpr std::size_t kMostInline = 3;  // choices that a sentence can end with
constexpr char kFirmSpace = '\x1f';     // printed as a space; no line breaks there

/// `text` from column `from` on, with lines that begin at column `indent`.
std::string wrapped(const std::string& text, std::size_t from, std::size_t indent) {
  std::string out;
  std::size_t column = from;
  for (std::string word : split(text, ' ')) {
    if (word.empty()) continue;
    std::replace(word.begin(), word.end(), kFirmSpace, ' ');
    if (!out.empty() && column + 1 + word.size() > kColumns) {
      out += '\n' + std::string(indent, ' ');
      column = indent;
    } else if (!out.empty()) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
  }
  return out;
}

std::string entry(const std::string& left, const std::string& help) {
  std::string line = "  " + left;
  if (line.size() + 2 > kHelpColumn) {
    line += '\n' + std::string(kHelpColumn, ' ');
  } else {
    line.resize(kHelpColumn, ' ');
  }
  return line + wrapped(help, kHelpColumn, kHelpColumn) + '\n';
}

std::string sentence(const Options::Spec& spec) {
  std::string text = spec.help;
  if (!spec.choices.empty() && spec.notes.empty() && spec.choices.size() <= kMostInline)
    text += ": " + join_choices(spec.choices);
  if (spec.repeats) text += " (may be repeated)";
  if (spec.required) return text + " (required)";
  if (!spec.default_text.empty()) {
    std::string shown = "(default: " + spec.default_text + ")";
    if (shown.size() <= kColumns - kHelpColumn)
      std::replace(shown.begin(), shown.end(), ' ', kFirmSpace);
    text += ' ' + shown;
  }
  return text;
}

/// Lines of their own: with a note each, or one list.
std::string choice_lines(const Options::Spec& spec) {
  const std::string indent(kChoiceColumn, ' ');
  if (spec.notes.empty()) {
    if (spec.choices.size() <= kMostInline) return "";
    return indent + wrapped(joined(spec.choices), kChoiceColumn, kChoiceColumn) + '\n';
  }
  std::size_t widest = 0;
  for (const std::string& choice : spec.choices) widest = std::max(widest, choice.size());
  const std::size_t note_column = kChoiceColumn + widest + 2;
  std::string text;
  for (std::size_t i = 0; i < spec.choices.size(); ++i) {
    std::string line = indent + spec.choices[i];
    line.resize(note_column, ' ');
    text += line + wrapped(spec.notes[i], note_column, note_column) + '\n';
  }
  return text;
}

std::string option_entry(const Options::Spec& spec) {
  return entry("--" + spec.name + (spec.value_name.empty() ? "" : ' ' + spec.value_name),
               sentence(spec)) +
         choice_lines(spec);
}

/// Options of one part of the help, each under the heading of its group, or all under `heading`.
std::string part(const std::vector<Options::Spec>& specs, Reader reader, std::string heading) {
  std::string text;
  std::string last;
  for (const Options::Spec& spec : specs) {
    if (spec.reader != reader) continue;
    const std::string& now = heading.empty() ? spec.group : heading;
    if (now != last) text += '\n' + now + '\n';
    last = now;
    text += option_entry(spec);
  }
  return text;
}

}  // namespace

std::string help_text(const Options& options, const std::string& usage) {
  std::string text = usage;
  if (!options.positionals().empty()) {
    text += "\nArguments\n";
    for (const Options::Spec& spec : options.positionals()) text += entry(spec.name, spec.help);
  }
  text += part(options.specs(), Reader::kEveryone, "Needed");
  text += part(options.specs(), Reader::kOfThisCommand, "");
  text += part(options.specs(), Reader::kMany, "Common");
  const std::string rest = part(options.specs(), Reader::kFew, "");
  if (!rest.empty()) text += "\nThe options below are rarely needed.\n" + rest;
  return text;
}

}  // namespace invp::cli
