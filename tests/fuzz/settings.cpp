// A settings file (TOML), given to options of each type. A UsageError is the other right answer.
#include "tools/options/settings.h"

#include "tests/fuzz/fuzz.h"
#include "tools/options/options.h"

namespace invp::cli {

const std::vector<Preset>& presets() {
  static const std::vector<Preset> none;
  return none;
}

}  // namespace invp::cli

namespace invp::fuzz {
namespace {

struct Values {
  bool flag = false;
  std::int64_t whole = 1;
  int small = 1;
  double real = 1;
  float single = 1;
  std::string text = "text", choice = "a";
  std::vector<double> numbers;
  std::vector<std::int64_t> integers;
  std::vector<std::string> texts;
};

void declare(cli::Options& options, Values& values) {
  options.group("All", cli::Decides::kWeights);
  options.flag("flag", values.flag, "");
  options.integer("whole", values.whole, {0, 1e18}, "");
  options.integer("small", values.small, {0, 1000}, "");
  options.number("real", values.real, {}, "");
  options.number("single", values.single, cli::kPositive, "");
  options.text("text", values.text, "TEXT", "");
  options.choice("choice", values.choice, {"a", "b"}, "");
  options.numbers("numbers", values.numbers, 3, cli::kProbability, "");
  options.integers("integers", values.integers, {-5, 5}, "");
  options.repeated("texts", values.texts, "TEXT", "");
}

/// What was read is written as TOML, which must read as the same.
void apply(const std::vector<cli::Setting>& settings) {
  Values values, again;
  cli::Options options, others;
  declare(options, values);
  declare(others, again);
  options.apply(settings, {"elsewhere"});
  const std::string toml = options.to_toml();
  others.apply(cli::parse_settings(toml, "again"), {});
  if (others.to_toml() != toml || others.deciding() != options.deciding())
    fault("settings do not survive being written");
}

}  // namespace
}  // namespace invp::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace invp;
  fuzz::reads([&] {
    try {
      fuzz::apply(cli::parse_settings(fuzz::text_of(fuzz::Bytes(data, size)), "settings"));
    } catch (const cli::UsageError& error) {
      throw Error(error.what());
    }
  });
  return 0;
}
