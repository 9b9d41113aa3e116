#include "tools/options/man_page.h"

#include <algorithm>

#include "engine/core/text.h"

namespace invp::cli {

namespace {

/// As running text: what the formatter would read as its own is escaped.
std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-";
    else if ((c == '.' || c == '\'') && (out.empty() || out.back() == '\n'))
      out += std::string("\\&") + c;
    else
      out += c;
  }
  return out;
}

std::string bold(const std::string& text) {
  return "\\fB" + escaped(text) + "\\fR";
}

std::string italic(const std::string& text) {
  return "\\fI" + escaped(text) + "\\fR";
}

std::string title(const std::string& name, const std::string& version) {
  std::string shouted = name;
  std::ranges::transform(shouted, shouted.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  });
  return ".TH \"" + escaped(shouted) + "\" 1 \"\" \"invp " + escaped(version) +
         "\" \"User commands\"\n";
}

/// Whole lines, as they are.
std::string as_written(const std::string& lines) {
  return ".nf\n" + escaped(lines) + (lines.ends_with('\n') ? "" : "\n") + ".fi\n";
}

std::string tagged(const std::string& tag, const std::string& text) {
  return ".TP\n" + tag + "\n" + (text.empty() ? "\\&" : escaped(text)) + "\n";
}

std::string option_text(const Options::Spec& spec) {
  std::string text = spec.help;
  if (!spec.choices.empty() && spec.notes.empty()) text += ": " + join_choices(spec.choices);
  if (spec.repeats) text += " (may be repeated)";
  if (spec.required) return text + " (required)";
  if (!spec.default_text.empty()) text += " (default: " + spec.default_text + ")";
  return text;
}

std::string option_entry(const Options::Spec& spec) {
  std::string text = tagged(
      bold("--" + spec.name) + (spec.value_name.empty() ? "" : " " + italic(spec.value_name)),
      option_text(spec));
  if (spec.notes.empty()) return text;
  text += ".RS\n";
  for (std::size_t i = 0; i < spec.choices.size(); ++i)
    text += tagged(bold(spec.choices[i]), spec.notes[i]);
  return text + ".RE\n";
}

/// Those for every reader first, as in --help; each group under its heading.
std::string options_section(const DescribedCommand& command) {
  std::string text = ".SH OPTIONS\n";
  for (const Reader reader :
       {Reader::kEveryone, Reader::kOfThisCommand, Reader::kMany, Reader::kFew}) {
    std::string last;
    for (const Options::Spec& spec : command.options) {
      if (spec.reader != reader) continue;
      const std::string heading = reader == Reader::kEveryone ? "Needed"
                                  : reader == Reader::kMany   ? "Common"
                                                              : spec.group;
      if (heading != last) text += ".SS " + escaped(heading) + "\n";
      last = heading;
      text += option_entry(spec);
    }
  }
  return text;
}

std::string endings() {
  return ".SH EXIT STATUS\n" + tagged(bold("0"), "done") +
         tagged(bold("1"), "failed; one line on standard error says why") +
         tagged(bold("2"), "a wrong option or value; nothing was done") +
         tagged(bold("128 + signal"),
                "stopped by a signal, after writing a checkpoint where the command trains");
}

}  // namespace

std::string man_name(const DescribedCommand& command) {
  std::string name = "invp-" + command.text.name;
  std::ranges::replace(name, ' ', '-');
  return name;
}

std::string man_page(const DescribedCommand& command, const std::string& version) {
  const CommandText& about = command.text;
  std::string text = title(man_name(command), version) + ".SH NAME\n" +
                     escaped(man_name(command) + " - " + about.summary) + "\n.SH SYNOPSIS\n" +
                     bold("invp " + about.name) + " " + escaped(about.arguments) +
                     "\n.SH DESCRIPTION\n" + as_written(about.description);
  if (!about.examples.empty()) text += ".SH EXAMPLES\n" + as_written(about.examples);
  if (!command.arguments.empty()) text += ".SH ARGUMENTS\n";
  for (const Options::Spec& spec : command.arguments)
    text += tagged(italic(spec.name), option_text(spec));
  return text + options_section(command) + endings() + ".SH SEE ALSO\n" + bold("invp") + "(1)\n";
}

std::string man_overview(const std::vector<DescribedCommand>& commands,
                         const std::string& version) {
  std::string text =
      title("invp", version) + ".SH NAME\n" +
      escaped("invp - unsupervised image representations by invariance propagation") +
      "\n.SH SYNOPSIS\n" + bold("invp") + " " + italic("COMMAND") + " [options]\n.SH COMMANDS\n";
  for (const DescribedCommand& command : commands)
    text += tagged(bold(man_name(command)) + "(1)", command.text.summary);
  text += ".SH EXAMPLES\nA first run, in a few minutes and without any data:\n" +
          as_written(
              "  invp pretrain --preset quickstart --out runs/first\n"
              "  invp report runs/first\n");
  return text + endings();
}

}  // namespace invp::cli
