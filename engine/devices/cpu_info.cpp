#include "engine/devices/cpu_info.h"

#include <array>
#include <oneapi/dnnl/dnnl.hpp>
#include <utility>

#include "engine/core/error.h"

namespace invp {

std::string onednn_version() {
  const dnnl_version_t* const version = dnnl_version();
  return message(version->major, '.', version->minor, '.', version->patch);
}

std::string onednn_instructions() {
  using dnnl::cpu_isa;
  constexpr std::array kNames = {std::pair{cpu_isa::sse41, "sse41"},
                                 std::pair{cpu_isa::avx, "avx"},
                                 std::pair{cpu_isa::avx2, "avx2"},
                                 std::pair{cpu_isa::avx2_vnni, "avx2_vnni"},
                                 std::pair{cpu_isa::avx512_core, "avx512_core"},
                                 std::pair{cpu_isa::avx512_core_vnni, "avx512_core_vnni"},
                                 std::pair{cpu_isa::avx512_core_bf16, "avx512_core_bf16"},
                                 std::pair{cpu_isa::avx512_core_fp16, "avx512_core_fp16"},
                                 std::pair{cpu_isa::avx512_core_amx, "avx512_core_amx"}};
  const cpu_isa isa = dnnl::get_effective_cpu_isa();
  for (const auto& [known, name] : kNames) {
    if (known == isa) return name;
  }
  return message("set ", static_cast<unsigned>(isa));
}

}  // namespace invp
