// Holds docs/paper-map.md true: the program understands the commands it names, the files it names
// exist and contain the names beside them, and its values are those of the code and of the presets.
#include <gtest/gtest.h>
#include <toml++/toml.h>

#include <map>

#include "data/images/augment.h"
#include "invp/method/objective.h"
#include "invp/method/pretrain.h"
#include "invp/protocols/finetune/finetune.h"
#include "invp/protocols/linear/linear_protocol.h"
#include "tests/docs/pages.h"

namespace invp {
namespace {

using testing::backquoted;
using testing::kRoot;
using testing::lines_of;
using testing::read_all;

bool is_command(const std::string& text) {
  return text.starts_with("invp ");
}

/// The rows of the page's tables that quote anything, those with commands of the program or others.
std::vector<std::vector<std::string>> rows(bool with_commands) {
  std::vector<std::vector<std::string>> all;
  for (const std::string& line : lines_of(read_all(kRoot / "docs" / "paper-map.md"), "")) {
    const std::vector<std::string> quoted = backquoted(line);
    if (line.starts_with("| ") && !quoted.empty() && quoted.front() != "invp" &&
        std::any_of(quoted.begin(), quoted.end(), is_command) == with_commands)
      all.push_back(quoted);
  }
  return all;
}

/// A command that is asked for data which is not there says so, after its options were read.
TEST(PaperMap, TheProgramUnderstandsTheOptions) {
  const testing::TempFolder empty;
  int checked = 0;
  for (const std::vector<std::string>& row : rows(true)) {
    for (const std::string& command : row) {
      if (!is_command(command)) continue;
      std::string arguments = command.substr(5) + " --data /nowhere --out out";
      if (!command.starts_with("invp pretrain ")) arguments += " --checkpoint /nowhere";
      const testing::Outcome outcome = testing::run_invp_in(empty.path(), arguments);
      EXPECT_EQ(outcome.code, 1) << command << "\n" << outcome.err;
      EXPECT_NE(outcome.err.find("/nowhere:"), std::string::npos) << command << "\n" << outcome.err;
      ++checked;
    }
  }
  EXPECT_GT(checked, 30);
}

bool is_setting(const std::string& text) {
  return text.find(" = ") != std::string::npos;
}

TEST(PaperMap, NamesStandInTheFilesBesideThem) {
  int checked = 0;
  for (const std::vector<std::string>& row : rows(false)) {
    if (is_setting(row.front())) continue;
    const std::string source = read_all(kRoot / row.front());
    EXPECT_FALSE(source.empty()) << row.front() << " is missing";
    EXPECT_GE(row.size(), 2U) << row.front() << " has no name beside it";
    for (std::size_t i = 1; i < row.size(); ++i, ++checked) {
      EXPECT_NE(source.find(row[i]), std::string::npos) << row.front() << " has no " << row[i];
    }
  }
  EXPECT_GT(checked, 30);
}

void add_linear_defaults(std::map<std::string, double>& values) {
  const LinearConfig plain;
  values["LinearConfig.epochs"] = plain.epochs;
  values["LinearConfig.batch_size"] = plain.batch_size;
  values["LinearConfig.momentum"] = plain.momentum;
  values["LinearConfig.weight_decay"] = plain.weight_decay;
  for (const auto& [name, protocol] : all_linear_protocols()) {
    const LinearConfig config = linear_defaults(protocol, "cifar10").config;
    const std::string prefix = name + " linear.";
    values[prefix + "lr"] = config.learning_rate;
    values[prefix + "lr_decay"] = config.lr_decay;
    for (std::size_t i = 0; i < config.milestones.size(); ++i)
      values[prefix + "milestone." + std::to_string(i)] = config.milestones[i];
  }
}

void add_finetune_defaults(std::map<std::string, double>& values) {
  for (const FinetuneProtocol protocol : {FinetuneProtocol::kSemi, FinetuneProtocol::kTransfer}) {
    const FinetuneConfig config = finetune_defaults(protocol);
    const std::string prefix = protocol == FinetuneProtocol::kSemi ? "semi." : "transfer.";
    values[prefix + "epochs"] = config.epochs;
    values[prefix + "batch_size"] = config.batch_size;
    values[prefix + "lr"] = config.learning_rate;
    values[prefix + "fc_lr"] = config.fc_learning_rate;
    values[prefix + "lr_decay"] = config.lr_decay;
    values[prefix + "momentum"] = config.momentum;
    values[prefix + "weight_decay"] = config.weight_decay;
    for (std::size_t i = 0; i < config.milestones.size(); ++i)
      values[prefix + "milestone." + std::to_string(i)] = config.milestones[i];
  }
}

std::map<std::string, double> code_defaults() {
  const ObjectiveConfig objective;
  const PretrainConfig run;
  std::map<std::string, double> values{
      {"ObjectiveConfig.tau", objective.tau},
      {"ObjectiveConfig.bank_momentum", objective.bank_momentum},
      {"ObjectiveConfig.neighbors", objective.neighbors},
      {"ObjectiveConfig.steps", objective.steps},
      {"ObjectiveConfig.hard_positives", objective.hard_positives},
      {"ObjectiveConfig.background", objective.background},
      {"ObjectiveConfig.lambda", objective.lambda},
      {"ObjectiveConfig.warm_epochs", objective.warm_epochs},
      {"NetworkConfig.dim", run.network.dim},
      {"PretrainConfig.epochs", run.epochs},
      {"PretrainConfig.batch_size", run.batch_size},
      {"PretrainConfig.learning_rate", run.learning_rate},
      {"PretrainConfig.momentum", run.momentum},
      {"PretrainConfig.weight_decay", run.weight_decay},
      {"PretrainConfig.knn_k", run.knn_k},
      {"PretrainConfig.knn_tau", run.knn_tau},
  };
  add_finetune_defaults(values);
  add_linear_defaults(values);
  for (const char* name :
       {"imagenet", "cifar", "train-224", "voc-train", "linear-cj", "finetune-cars"}) {
    const AugmentConfig augment = augment_preset(name);
    const std::string prefix = std::string(name) + ".";
    values[prefix + "crop_scale.low"] = augment.crop_scale.low;
    values[prefix + "crop_scale.high"] = augment.crop_scale.high;
    values[prefix + "jitter_prob"] = augment.jitter_prob;
    values[prefix + "gray_prob"] = augment.gray_prob;
    values[prefix + "blur_prob"] = augment.blur_prob;
    values[prefix + "blur_sigma.low"] = augment.blur_sigma.low;
    values[prefix + "blur_sigma.high"] = augment.blur_sigma.high;
    values[prefix + "flip_prob"] = augment.flip_prob;
    for (std::size_t i = 0; i < 4; ++i) {
      values[prefix + "jitter." + std::to_string(i)] = augment.jitter[i];
    }
  }
  return values;
}

TEST(PaperMap, ValuesAreThoseOfTheCodeAndThePresets) {
  const std::map<std::string, double> defaults = code_defaults();
  int checked = 0;
  for (const std::vector<std::string>& row : rows(false)) {
    for (const std::string& setting : row) {
      if (!is_setting(setting)) continue;
      ++checked;
      const std::size_t equals = setting.find(" = ");
      const std::string name = setting.substr(0, equals);
      const double stated = std::stod(setting.substr(equals + 3));
      if (const auto found = defaults.find(name); found != defaults.end()) {
        EXPECT_FLOAT_EQ(static_cast<float>(found->second), static_cast<float>(stated)) << name;
        continue;
      }
      const std::size_t dot = name.find('.');
      const auto file = kRoot / "configs" / (name.substr(0, dot) + ".toml");
      ASSERT_TRUE(std::filesystem::exists(file)) << name << " is neither a default nor a preset";
      const auto value = toml::parse_file(file.string())[name.substr(dot + 1)].value<double>();
      ASSERT_TRUE(value.has_value()) << file << " does not set " << name;
      EXPECT_DOUBLE_EQ(*value, stated) << name;
    }
  }
  EXPECT_GT(checked, 35);
}

}  // namespace
}  // namespace invp
