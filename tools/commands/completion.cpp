// invp completion, invp man: what shells and man(1) want to know of the commands.
#include "tools/options/completion.h"

#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "engine/files/atomic_file.h"
#include "tools/options/man_page.h"
#include "tools/options/version.h"

namespace invp::cli {

namespace {

class CompletionCommand : public Command {
 public:
  explicit CompletionCommand(const Commands& all) : all_(all) {}

  CommandText text() const override {
    return {.name = "completion",
            .arguments = "bash|zsh|fish",
            .summary = "a script with which a shell completes commands and options",
            .description = "Prints a script that completes commands, options and values.\n",
            .examples =
                "  source <(invp completion bash)\n"
                "  invp completion bash >~/.local/share/bash-completion/completions/invp\n"
                "  invp completion zsh >~/.zfunc/_invp\n"
                "  invp completion fish >~/.config/fish/completions/invp.fish\n"};
  }

  void declare(Options& options) override {
    options.positional("SHELL", shell_, "bash, zsh or fish", {"bash", "zsh", "fish"});
  }

  Results run() override {
    const std::vector<DescribedCommand> commands = described(all_);
    std::string script;
    if (shell_ == "bash")
      script = bash_completion(commands);
    else if (shell_ == "zsh")
      script = zsh_completion(commands);
    else if (shell_ == "fish")
      script = fish_completion(commands);
    else
      throw UsageError("no completion for '" + shell_ + "'; there are bash, zsh and fish");
    std::cout << script;
    return {{"shell", shell_}, {"commands", commands.size()}};
  }

 private:
  const Commands& all_;
  std::string shell_;
};

class ManCommand : public Command {
 public:
  explicit ManCommand(const Commands& all) : all_(all) {}

  CommandText text() const override {
    return {.name = "man",
            .arguments = "--to DIR",
            .summary = "manual pages of all commands",
            .description = "Writes the manual pages, one per command, as files for man(1).\n",
            .examples = "  invp man --to ~/.local/share/man/man1\n  man invp pretrain\n"};
  }

  void declare(Options& options) override {
    options.main_group("Manual");
    options.text("to", to_, "DIR", "the folder for the pages; it is made").required();
  }

  Results run() override {
    const std::vector<DescribedCommand> commands = described(all_);
    const std::filesystem::path folder = to_;
    make_folders(folder);
    write_file(folder / "invp.1", man_overview(commands, version()), Flush::kNo);
    for (const DescribedCommand& command : commands)
      write_file(folder / (man_name(command) + ".1"), man_page(command, version()), Flush::kNo);
    const std::size_t pages = commands.size() + 1;
    std::cout << pages << " pages in " << to_ << '\n';
    return {{"pages", pages}, {"to", to_}};
  }

 private:
  const Commands& all_;
  std::string to_;
};

}  // namespace

void add_completion(Commands& commands) {
  commands.push_back(std::make_unique<CompletionCommand>(commands));
}

void add_man(Commands& commands) {
  commands.push_back(std::make_unique<ManCommand>(commands));
}

}  // namespace invp::cli
