// The program: finds the subcommand, gathers its settings (defaults < preset < config < command
// line), runs it, and turns what happens into an exit code: 0 done, 1 failed, 2 wrongly asked, 128
// + signal when stopped.
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "engine/core/error.h"
#include "engine/core/text.h"
#include "tools/options/command.h"
#include "tools/options/settings.h"

#ifndef INVP_VERSION
#error "INVP_VERSION comes from tools/CMakeLists.txt"
#endif

namespace invp::cli {

namespace {

struct Common {
  std::string config;
  std::string preset;
  bool json = false;
  bool help = false;
};

std::string overview(const Commands& commands, const std::string& family) {
  std::string text = family.empty()
                         ? "invp " INVP_VERSION
                           ": unsupervised image representations by invariance propagation.\n\n"
                           "Usage: invp COMMAND [options]\n\nCommands\n"
                         : "Usage: invp " + family + " ACTION [options]\n\nActions\n";
  std::string printed;
  for (const auto& command : commands) {
    const CommandText about = command->text();
    if (!family.empty() && !about.name.starts_with(family + " ")) continue;
    std::string line = "  " + about.name;
    line.resize(std::max<std::size_t>(20, line.size() + 2), ' ');
    text += line + about.summary + '\n';
  }
  text += family.empty() ? "\nEvery command explains itself: invp COMMAND --help\n"
                         : "\nEvery action explains itself: invp " + family + " ACTION --help\n";
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

/// Takes the command's name, one word or two, off the arguments.
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
      throw UsageError(message("invp ", first, ": wants an action: ", join_choices(actions)));
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

std::vector<std::string> preset_names() {
  std::vector<std::string> names;
  for (const Preset& preset : presets()) names.emplace_back(preset.name);
  return names;
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

void run_command(Command& command, const std::vector<std::string>& arguments) {
  Common common;
  Options options;
  command.declare(options);
  options.group("Settings and output");
  options
      .text("config", common.config, "FILE",
            "TOML file of options by their long names; the command line wins")
      .not_a_setting();
  options
      .text("preset", common.preset, "NAME",
            "built-in settings, which --config wins over: " + join_choices(preset_names()))
      .not_a_setting();
  options.flag("json", common.json, "print the results as one JSON object, the last line of stdout")
      .not_a_setting();
  options.flag("help", common.help, "print this text").not_a_setting();
  if (std::any_of(arguments.begin(), arguments.end(), asks_for_help)) {
    std::cout << command_help(options, command.text());
    return;
  }
  options.tokenize(arguments);
  const std::vector<std::string> elsewhere = run_setting_names();
  if (const std::string preset = options.peek("preset"); !preset.empty())
    options.apply(preset_settings(preset), elsewhere);
  if (const std::string config = options.peek("config"); !config.empty())
    options.apply(config_settings(config), elsewhere);
  options.finish();
  const Results results = command.run();
  if (common.json) std::cout << results.dump() << '\n';
}

// One line, whatever the text was.
void complain(const std::string& who, std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  std::cerr << who << (who.empty() ? "" : ": ") << text << '\n';
}

int run_program(std::vector<std::string> arguments) {
  Commands commands;
  add_pretrain(commands);
  add_extract(commands);
  add_knn(commands);
  add_linear(commands);
  add_report(commands);
  add_finetune(commands);
  add_tsne(commands);
  add_convert(commands);
  add_data(commands);
  add_op(commands);
  add_objective(commands);
  add_bench(commands);
  add_doctor(commands);

  std::string who;
  try {
    if (arguments.empty() || asks_for_help(arguments[0]) || arguments[0] == "help") {
      std::cout << overview(commands, "");
      return 0;
    }
    if (arguments[0] == "--version") {
      std::cout << "invp " INVP_VERSION "\n";
      return 0;
    }
    if (arguments.size() == 2 && asks_for_help(arguments[1]) &&
        !names_of(commands, arguments[0]).empty()) {
      std::cout << overview(commands, arguments[0]);
      return 0;
    }
    Command& command = find_command(commands, arguments);
    who = "invp " + command.text().name;
    run_command(command, arguments);
    std::cout.flush();
    if (!std::cout) fail("the output could not be written (is the disk full?)");
    return 0;
  } catch (const UsageError& error) {
    complain(who, error.what());
    return 2;
  } catch (const Stopped& stopped) {
    return 128 + stopped.signal;
  } catch (const std::bad_alloc&) {
    complain(who, "out of memory; turn down --batch-size, --image-size, --workers or --bank");
    return 1;
  } catch (const std::exception& error) {
    complain(who, error.what());
    return 1;
  }
}

}  // namespace

}  // namespace invp::cli

int main(int count, char** values) {
  return invp::cli::run_program(std::vector<std::string>(values + 1, values + count));
}
