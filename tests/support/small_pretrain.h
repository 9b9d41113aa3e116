// The settings of a pretraining run of a second: 16 x 16 pixels, a network of width 4.
#pragma once

#include <filesystem>

#include "invp/method/pretrain.h"

namespace invp::testing {

inline PretrainConfig small_pretrain(const std::filesystem::path& out) {
  PretrainConfig config;
  config.network = {.arch = Arch::kResNet18Cifar, .width = 4, .dim = 16};
  config.objective.background = 32;
  config.objective.hard_positives = 5;
  config.objective.warm_epochs = 1;
  config.augment = augment_preset("cifar");
  config.augment.image_size = 16;
  config.evaluation = augment_preset("eval-cifar");
  config.evaluation.image_size = 16;
  config.run.out = out;
  return config;
}

}  // namespace invp::testing
