// The program: finds the subcommand, gathers its settings (defaults < preset < config < command
// line), runs it and ends with an exit code: 0 done, 1 failed, 2 for a wrong option or value, 128 +
// signal when stopped.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <thread>

#include "engine/comm/control.h"
#include "engine/comm/launch.h"
#include "engine/core/error.h"
#include "engine/core/stop.h"
#include "engine/core/text.h"
#include "engine/files/json_text.h"
#include "tools/options/command.h"
#include "tools/options/common_options.h"
#include "tools/options/rank_options.h"
#include "tools/options/settings.h"
#include "tools/options/spinning.h"
#include "tools/options/stop_signal.h"
#include "tools/options/version.h"

namespace invp::cli {

namespace {

std::string overview(const Commands& commands, const std::string& family) {
  std::string text = family.empty()
                         ? "invp " + version() +
                               ": unsupervised image representations by invariance propagation.\n\n"
                               "Usage: invp COMMAND [options]\n\nCommands\n"
                         : "Usage: invp " + family + " ACTION [options]\n\nActions\n";
  for (const auto& command : commands) {
    const CommandText about = command->text();
    if (!family.empty() && !about.name.starts_with(family + " ")) continue;
    std::string line = "  " + about.name;
    line.resize(std::max<std::size_t>(20, line.size() + 2), ' ');
    text += line + about.summary + '\n';
  }
  if (family.empty()) {
    text +=
        "\nFirst run, in a few minutes and without any data\n"
        "  invp pretrain --preset quickstart --out runs/first\n"
        "  invp report runs/first\n";
  }
  text += family.empty() ? "\nOptions and examples of a command: invp help COMMAND\n"
                           "Which program this is: invp --version\n"
                         : "\nOptions and examples of an action: invp help " + family + " ACTION\n";
  return text;
}

std::vector<std::string> names_of(const Commands& commands, const std::string& family) {
  std::vector<std::string> names;
  for (const auto& command : commands) {
    const std::string name = command->text().name;
    const std::string first = name.substr(0, name.find(' '));
    if (family.empty()) {
      if (names.empty() || names.back() != first) names.push_back(first);
    } else if (first == family && name != first) {
      names.push_back(name.substr(first.size() + 1));
    }
  }
  return names;
}

/// Removes the command's name, one word or two, from the arguments.
Command& find_command(const Commands& commands, std::vector<std::string>& arguments) {
  const std::string first = arguments.front();
  const std::vector<std::string> names = names_of(commands, "");
  if (std::find(names.begin(), names.end(), first) == names.end()) {
    throw UsageError(
        message("invp: no command '", first, "'; did you mean ", nearest(first, names), "?"));
  }
  const std::vector<std::string> actions = names_of(commands, first);
  std::string wanted = first;
  arguments.erase(arguments.begin());
  if (!actions.empty()) {
    if (arguments.empty())
      throw UsageError(message("invp ", first, ": an action is missing: ", join_choices(actions)));
    if (std::find(actions.begin(), actions.end(), arguments.front()) == actions.end()) {
      throw UsageError(message("invp ", first, ": no action '", arguments.front(),
                               "'; did you mean ", nearest(arguments.front(), actions), "? (",
                               join_choices(actions), ")"));
    }
    wanted += " " + arguments.front();
    arguments.erase(arguments.begin());
  }
  return **std::find_if(commands.begin(), commands.end(),
                        [&](const auto& command) { return command->text().name == wanted; });
}

/// "help COMMAND" is "COMMAND --help".
std::vector<std::string> without_help_command(std::vector<std::string> arguments) {
  while (!arguments.empty() && arguments.front() == "help") {
    arguments.erase(arguments.begin());
    arguments.emplace_back("--help");
  }
  return arguments;
}

bool asks_for_help(const std::string& argument) {
  return argument == "--help" || argument == "-h";
}

std::string command_help(const Options& options, const CommandText& about) {
  std::string usage = "Usage: invp " + about.name +
                      (about.arguments.empty() ? "" : ' ' + about.arguments) + "\n\n" +
                      about.description;
  if (!about.examples.empty()) usage += "\nExamples\n" + about.examples;
  return help_text(options, usage);
}

/// Returns the exit code.
int run_command(Command& command, const std::vector<std::string>& arguments) {
  CommonOptions common;
  Options options;
  command.declare(options);
  declare_common(options, common, command.text().name);
  if (std::any_of(arguments.begin(), arguments.end(), asks_for_help)) {
    std::cout << command_help(options, command.text());
    return 0;
  }
  options.tokenize(arguments);
  const std::vector<std::string> elsewhere = run_setting_names();
  if (const std::string preset = options.peek("preset"); !preset.empty())
    options.apply(preset_settings(preset, command.text().name), elsewhere);
  if (const std::string config = options.peek("config"); !config.empty())
    options.apply(config_settings(config), elsewhere);
  options.finish();
  const Results results = command.run();
  if (common.json) std::cout << json_text(results) << '\n';
  return command.exit_code();
}

// One line without control characters, whatever file the text quotes.
void complain(const std::string& name, std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  std::cerr << name << (name.empty() ? "" : ": ") << printable(text) << '\n';
}

/// All ranks of a launcher find the same fault; the first to end may take the others with it.
int refuse(const std::string& name, const Refused& error) {
  if (announced_rank(variable_of_process) == 0)
    complain(name, error.what());
  else
    std::this_thread::sleep_for(std::chrono::seconds(1));
  return 2;
}

void add_all(Commands& commands) {
  add_pretrain(commands);
  add_knn(commands);
  add_extract(commands);
  add_linear(commands);
  add_finetune(commands);
  add_detect(commands);
  add_tsne(commands);
  add_report(commands);
  add_convert(commands);
  add_checkpoint_verify(commands);
  add_data(commands);
  add_op(commands);
  add_objective(commands);
  add_bench(commands);
  add_plan(commands);
  add_doctor(commands);
  add_completion(commands);
  add_man(commands);
}

/// Does what the arguments ask for; returns the exit code. `name` becomes the command's, for
/// complaints.
int answer(const Commands& commands, std::vector<std::string> arguments, std::string& name) {
  int code = 0;
  if (arguments.empty() || asks_for_help(arguments[0])) {
    std::cout << overview(commands, "");
  } else if (arguments[0] == "--version") {
    std::cout << version_line() << '\n';
  } else if (arguments.size() == 2 && asks_for_help(arguments[1]) &&
             !names_of(commands, arguments[0]).empty()) {
    std::cout << overview(commands, arguments[0]);
  } else {
    Command& command = find_command(commands, arguments);
    name = "invp " + command.text().name;
    code = run_command(command, arguments);
  }
  std::cout.flush();
  if (!std::cout) fail("the output could not be written (is the disk full?)");
  return code;
}

int run_program(std::vector<std::string> arguments) {
  std::string name;
  const StopSignal signals;
  Commands commands;
  add_all(commands);
  try {
    return answer(commands, without_help_command(std::move(arguments)), name);
  } catch (const UsageError& error) {
    complain(name, error.what());
    return 2;
  } catch (const Refused& error) {
    return refuse(name, error);
  } catch (const RunLost& lost) {
    if (lost.speak()) complain(name, lost.what());
    if (lost.speak()) std::cerr << lost.calls();
    return lost.code();
  } catch (const RanksEnded& ended) {
    return ended.code;
  } catch (const Stopped& stopped) {
    return 128 + stopped.signal;
  } catch (const std::bad_alloc&) {
    complain(name, "out of memory; turn down --batch-size, --image-size, --workers or --bank");
    return 1;
  } catch (const std::exception& error) {
    complain(name, error.what());
    return 1;
  }
}

}  // namespace

}  // namespace invp::cli

int main(int count, char** values) {
  invp::cli::limit_spinning(values);
  return invp::cli::run_program(std::vector<std::string>(values + 1, values + count));
}
