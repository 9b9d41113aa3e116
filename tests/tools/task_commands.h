// The commands that train from a checkpoint, at a size of seconds: for tests that run them on
// several ranks. `device`: "cpu", "cuda".
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "tests/tools/devkit.h"
#include "tests/tools/program.h"

namespace invp::testing {

/// A folder for all tests of the program: what they train on, and from.
inline const Scratch& scratch() {
  static const Scratch folder;
  return folder;
}

/// 67 images in batches of 16: the last has 3.
inline constexpr const char* kImages =
    " --format synthetic --synthetic-train 67 --synthetic-val 40 --synthetic-size 16 "
    "--synthetic-classes 4 --image-size 16 --batch-size 16 --seed 3 ";

/// A network that has seen them for an epoch; made once.
inline const std::string& checkpoint() {
  static const std::string file = [] {
    const Outcome outcome =
        run_invp("pretrain" + std::string(kImages) +
                 "--device cpu "
                 "--arch resnet18-cifar --width 4 --dim 8 --augment cifar --epochs 1 --knn-k 5 "
                 "--background 8 --hard-positives 2 --threads 1 --out " +
                 (scratch() / "run"));
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return scratch() / "run/checkpoints/last.safetensors";
  }();
  return file;
}

inline const std::string& devkit() {
  static const std::string folder = [] {
    write_devkit(scratch() / "devkit", 10, 5);
    return scratch() / "devkit";
  }();
  return folder;
}

inline constexpr const char* kEach = " --threads 1 --workers 1 --json --save-steps 1 ";

inline std::string linear(const std::string& device) {
  return "linear --device " + device + " --checkpoint " + checkpoint() + kImages + kEach +
         "--augment linear-cifar --epochs 3 --lr 3 --milestones 2 --bn-groups 4 ";
}

inline std::string finetune(const std::string& device) {
  return "finetune --device " + device + " --checkpoint " + checkpoint() + kImages + kEach +
         "--augment linear-cifar --epochs 3 --lr 0.02 --milestones 2 --bn-groups 4 ";
}

inline std::string detection(const std::string& device) {
  return "detect train --device " + device + " --data " + shell_word(devkit()) + kTinyDetector +
         "--json --batch-size 4 --schedule-pictures 4 --bn-groups 4 --lr 0.02 ";
}

}  // namespace invp::testing
