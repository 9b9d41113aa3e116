// Named tensors with notes, whatever file they came from.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/core/tensor.h"

namespace invp {

struct TensorFile {
  std::vector<std::pair<std::string, Tensor>>
      tensors;  ///< in the order of the file; names are unique
  std::map<std::string, std::string> metadata;
  bool has_checksums = false;  ///< of elements and metadata, in the file they were read from

  /// Null when there is none of that name.
  const Tensor* find(std::string_view name) const {
    for (const auto& [key, tensor] : tensors) {
      if (key == name) return &tensor;
    }
    return nullptr;
  }
};

}  // namespace invp
