// A command with its options declared: what its completion and its manual page are made of.
#pragma once

#include <string>
#include <vector>

#include "tools/options/command.h"

namespace invp::cli {

struct DescribedCommand {
  CommandText text;
  std::vector<Options::Spec> options;
  std::vector<Options::Spec> arguments;  ///< those without a name

  /// "data" of "data info"; empty for a command of one word.
  std::string family() const;
  /// "info" of "data info".
  std::string action() const;
};

/// In the order of `commands`.
std::vector<DescribedCommand> described(const Commands& commands);

}  // namespace invp::cli
