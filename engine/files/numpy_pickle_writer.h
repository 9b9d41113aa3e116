// Dictionaries of numpy arrays, pickled without Python: detectron2's form of weights (.pkl).
#pragma once

#include <filesystem>
#include <span>

#include "engine/files/pickle_writer.h"
#include "engine/files/tensor_source.h"

namespace invp {

/// The tensors as numpy arrays by name, within `envelope`, for pickle.load of Python 3.4 and later
/// and any numpy. Replaces `path` in one step. Throws Error where it cannot be written, and for
/// types that numpy does not have (bfloat16, those of 8 bits and fewer).
void write_numpy_pickle(const std::filesystem::path& path, std::span<const StoredTensor> tensors,
                        const PickleEnvelope& envelope, const FillElements& fill);

}  // namespace invp
