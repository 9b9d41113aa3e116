#include "tools/options/completion.h"

#include <algorithm>

#include "engine/core/text.h"

namespace invp::cli {

namespace {

using Specs = std::vector<Options::Spec>;

/// What may follow an option, or stand as an argument.
struct Values {
  std::vector<std::string> words;
  bool files = false;
};

Values values_of(const Options::Spec& spec) {
  Values values{.words = spec.choices};
  const std::string& name = spec.value_name.empty() ? spec.name : spec.value_name;
  for (const char* place : {"FILE", "PATH", "DIR", "IMAGE", "RUN", "PICTURE", "CHECKPOINT"})
    values.files = values.files || name.find(place) != std::string::npos;
  if (name.starts_with("auto|")) values.words.emplace_back("auto");
  return values;
}

bool takes_files(const Specs& arguments) {
  return std::ranges::any_of(arguments, [](const auto& spec) { return values_of(spec).files; });
}

std::vector<std::string> words_of(const Specs& arguments) {
  std::vector<std::string> words;
  for (const Options::Spec& spec : arguments)
    words.insert(words.end(), spec.choices.begin(), spec.choices.end());
  return words;
}

std::string spaced(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

/// In single quotes, for bash and zsh.
std::string quoted(const std::string& text) {
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

struct Word {
  std::string word;
  std::string summary;
};

/// The first words of all commands; a family's summary lists its actions.
std::vector<Word> first_words(const std::vector<DescribedCommand>& commands) {
  std::vector<Word> words;
  for (const DescribedCommand& command : commands) {
    const std::string family = command.family();
    if (family.empty()) {
      words.push_back({command.text.name, command.text.summary});
    } else if (words.empty() || words.back().word != family) {
      words.push_back({family, command.action()});
    } else {
      words.back().summary += ", " + command.action();
    }
  }
  words.push_back({"help", "options and examples of a command"});
  return words;
}

std::vector<Word> actions_of(const std::vector<DescribedCommand>& commands,
                             const std::string& family) {
  std::vector<Word> words;
  for (const DescribedCommand& command : commands)
    if (command.family() == family) words.push_back({command.action(), command.text.summary});
  return words;
}

std::vector<std::string> families(const std::vector<DescribedCommand>& commands) {
  std::vector<std::string> names;
  for (const DescribedCommand& command : commands) {
    const std::string family = command.family();
    if (!family.empty() && std::ranges::find(names, family) == names.end()) names.push_back(family);
  }
  return names;
}

std::vector<std::string> only_words(const std::vector<Word>& words) {
  std::vector<std::string> all;
  all.reserve(words.size());
  for (const Word& word : words) all.push_back(word.word);
  return all;
}

// ---- bash

std::string bash_case(const DescribedCommand& command) {
  std::string text = "    " + quoted(command.text.name) + ")\n      case $previous in\n";
  std::string options;
  for (const Options::Spec& spec : command.options) {
    options += (options.empty() ? "--" : " --") + spec.name;
    if (spec.value_name.empty() && spec.choices.empty()) continue;
    const Values values = values_of(spec);
    text += "        --" + spec.name + ") words=" + quoted(spaced(values.words)) +
            (values.files ? " files=yes" : "") + " ;;\n";
  }
  text += "        *) words=" + quoted(spaced(words_of(command.arguments))) +
          (takes_files(command.arguments) ? " files=yes" : "") + " options=" + quoted(options) +
          " ;;\n      esac\n      ;;\n";
  return text;
}

// ---- zsh

/// A text within the brackets of zsh's _arguments.
std::string zsh_text(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

std::string zsh_values(const Options::Spec& spec) {
  const Values values = values_of(spec);
  const std::string name = zsh_text(spec.value_name.empty() ? spec.name : spec.value_name);
  std::string action = " ";
  if (values.files && !values.words.empty())
    action = "{compadd " + spaced(values.words) + "; _files}";
  else if (values.files)
    action = "_files";
  else if (!values.words.empty())
    action = "(" + spaced(values.words) + ")";
  return ":" + name + ":" + action;
}

std::string zsh_case(const DescribedCommand& command) {
  std::string text = "    " + quoted(command.text.name) + ")\n      _arguments";
  for (const Options::Spec& spec : command.options) {
    const bool takes_value = !spec.value_name.empty() || !spec.choices.empty();
    text +=
        " \\\n        " + quoted(std::string(spec.repeats ? "*" : "") + "--" + spec.name + "[" +
                                 zsh_text(spec.help) + "]" + (takes_value ? zsh_values(spec) : ""));
  }
  for (const Options::Spec& spec : command.arguments)
    text += " \\\n        " + quoted("*" + zsh_values(spec));
  return text + "\n      ;;\n";
}

std::string zsh_list(const std::string& name, const std::vector<Word>& words) {
  std::string text = "local -a " + name + "=(";
  for (const Word& word : words)
    text += "\n      " + quoted(word.word + ":" + zsh_text(word.summary));
  return text + ")\n";
}

// ---- fish

std::string fish_quoted(const std::string& text) {
  std::string word = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') word += '\\';
    word += c;
  }
  return word + "'";
}

std::string fish_words(const std::string& condition, const std::vector<Word>& words) {
  std::string text;
  for (const Word& word : words) {
    text += "complete -c invp -f -n " + fish_quoted(condition) + " -a " + word.word + " -d " +
            fish_quoted(word.summary) + "\n";
  }
  return text;
}

std::string fish_option(const DescribedCommand& command, const Options::Spec& spec) {
  const Values values = values_of(spec);
  std::string text =
      "complete -c invp -n " + fish_quoted("__invp_is " + command.text.name) + " -l " + spec.name;
  if (!spec.value_name.empty() || !spec.choices.empty()) {
    text += values.files ? " -r -F" : " -x";
    if (!values.words.empty()) text += " -a " + fish_quoted(spaced(values.words));
  }
  return text + " -d " + fish_quoted(spec.help) + "\n";
}

}  // namespace

std::string bash_completion(const std::vector<DescribedCommand>& commands) {
  std::string text =
      "# Completion of invp in bash, written by: invp completion bash\n"
      "_invp() {\n"
      "  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}\n"
      "  local command=${COMP_WORDS[1]-} words='' options='' files=''\n"
      "  # bash takes --name=value for three words.\n"
      "  if [[ $current == '=' ]]; then\n"
      "    current=''\n"
      "  elif [[ $previous == '=' ]]; then\n"
      "    previous=${COMP_WORDS[COMP_CWORD - 2]}\n"
      "  fi\n"
      "  ((COMP_CWORD > 1)) || command=''\n"
      "  case $command in\n";
  for (const std::string& family : families(commands)) {
    text += "    " + family + ") ((COMP_CWORD == 2)) || command+=\" ${COMP_WORDS[2]}\" ;;\n";
  }
  text += "  esac\n  case $command in\n    '' | help) words=" +
          quoted(spaced(only_words(first_words(commands)))) + " options='--help --version' ;;\n";
  for (const std::string& family : families(commands)) {
    text += "    " + family +
            ") words=" + quoted(spaced(only_words(actions_of(commands, family)))) +
            " options='--help' ;;\n";
  }
  for (const DescribedCommand& command : commands) text += bash_case(command);
  return text +
         "  esac\n"
         "  [[ $current != -* ]] || words=$options\n"
         "  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
         "  if [[ $files && $current != -* ]]; then\n"
         "    local -a found\n"
         "    mapfile -t found < <(compgen -f -- \"$current\")\n"
         "    COMPREPLY+=(\"${found[@]}\")\n"
         "    compopt -o filenames 2>/dev/null || true\n"
         "  fi\n"
         "}\n"
         "complete -F _invp invp\n";
}

std::string zsh_completion(const std::vector<DescribedCommand>& commands) {
  std::string text =
      "#compdef invp\n"
      "# Completion of invp in zsh, written by: invp completion zsh\n"
      "_invp() {\n"
      "  local command=$words[2]\n"
      "  if ((CURRENT == 2)) || [[ $command == help ]]; then\n    " +
      zsh_list("commands", first_words(commands)) +
      "    _describe command commands\n    return\n  fi\n"
      "  local taken=1\n"
      "  case $command in\n";
  for (const std::string& family : families(commands)) {
    text += "    " + family + ")\n      if ((CURRENT == 3)); then\n    " +
            zsh_list("actions", actions_of(commands, family)) +
            "        _describe action actions\n        return\n      fi\n"
            "      command+=\" $words[3]\"\n      taken=2\n      ;;\n";
  }
  text +=
      "  esac\n"
      "  shift $taken words\n"
      "  ((CURRENT -= taken))\n"
      "  case $command in\n";
  for (const DescribedCommand& command : commands) text += zsh_case(command);
  return text +
         "  esac\n"
         "}\n"
         "if [[ $funcstack[1] == _invp ]]; then\n"
         "  _invp \"$@\"\n"
         "else\n"
         "  compdef _invp invp\n"
         "fi\n";
}

std::string fish_completion(const std::vector<DescribedCommand>& commands) {
  std::string text =
      "# Completion of invp in fish, written by: invp completion fish\n"
      "function __invp_is --description 'Do these words begin the command line?'\n"
      "  set -l words (commandline -opc)\n"
      "  set -e words[1]\n"
      "  test (count $words) -ge (count $argv); or return 1\n"
      "  for i in (seq (count $argv))\n"
      "    test \"$words[$i]\" = \"$argv[$i]\"; or return 1\n"
      "  end\n"
      "end\n"
      "function __invp_at --description 'Are these words all of the command line so far?'\n"
      "  set -l words (commandline -opc)\n"
      "  test (count $words) -eq (math (count $argv) + 1); and __invp_is $argv\n"
      "end\n";
  text += fish_words("__invp_at", first_words(commands));
  text += fish_words("__invp_at help", first_words(commands));
  for (const std::string& family : families(commands))
    text += fish_words("__invp_at " + family, actions_of(commands, family));
  for (const DescribedCommand& command : commands) {
    const std::string is = fish_quoted("__invp_is " + command.text.name);
    if (const auto words = words_of(command.arguments); !words.empty())
      text += "complete -c invp -n " + is + " -a " + fish_quoted(spaced(words)) + "\n";
    text += "complete -c invp -n " + is + (takes_files(command.arguments) ? " -F\n" : " -f\n");
    for (const Options::Spec& spec : command.options) text += fish_option(command, spec);
  }
  return text;
}

}  // namespace invp::cli
