// What computes on this machine's CPU.
#pragma once

#include <string>

namespace invp {

/// The version of oneDNN that runs: "3.2.0".
std::string onednn_version();
/// The widest instructions that it takes here, by its name for them: "avx512_core_bf16".
std::string onednn_instructions();

}  // namespace invp
