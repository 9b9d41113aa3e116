#include "tools/options/described_command.h"

#include "tools/options/common_options.h"

namespace invp::cli {

std::string DescribedCommand::family() const {
  const std::size_t space = text.name.find(' ');
  return space == std::string::npos ? "" : text.name.substr(0, space);
}

std::string DescribedCommand::action() const {
  return text.name.substr(text.name.find(' ') + 1);
}

std::vector<DescribedCommand> described(const Commands& commands) {
  std::vector<DescribedCommand> all;
  for (const auto& command : commands) {
    CommonOptions common;
    Options options;
    command->declare(options);
    declare_common(options, common, command->text().name);
    all.push_back(
        {.text = command->text(), .options = options.specs(), .arguments = options.positionals()});
  }
  return all;
}

}  // namespace invp::cli
