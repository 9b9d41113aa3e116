// The files in detectron2's forms that golden/make_detectron2.py wrote.
#pragma once

#include "engine/files/safetensors.h"
#include "tests/support/temp_folder.h"

namespace invp::testing {

inline std::filesystem::path detectron2_file(const std::string& name) {
  return golden("detectron2/" + name);
}

/// The detector that they hold, under our names.
inline const TensorFile& expected_detector() {
  static const TensorFile detector = read_safetensors(detectron2_file("expected.safetensors"));
  return detector;
}

}  // namespace invp::testing
