// CIFAR-10 and CIFAR-100 as they are distributed: the binary version and the Python version.
// https://www.cs.toronto.edu/~kriz/cifar.html
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "data/sets/dataset.h"

namespace invp {

enum class Cifar { k10, k100 };

/// Which of the two the folder, or the official folder inside it, holds, if any. The names of the
/// files tell; for train.bin and test.bin, the length of their records.
std::optional<Cifar> recognise_cifar(const std::filesystem::path& folder);

/// Are the batches of a split there?
bool has_cifar_split(const std::filesystem::path& folder, Cifar version, bool train);

/// CIFAR-10: data_batch_1..5.bin or train.bin, and test_batch.bin or test.bin; or the pickles
/// data_batch_1..5 and test_batch. CIFAR-100: train.bin and test.bin, or the pickles train and
/// test; the label is the fine one. Also looks into the official folders below `folder`. Class
/// names come from the names file beside the batches; without it they are numbers.
///
/// Throws Error for missing batches, files of a wrong length and labels out of range, naming the
/// file and what was expected.
std::unique_ptr<Dataset> open_cifar(const std::filesystem::path& folder, Cifar version, bool train);

}  // namespace invp
