#include "invp/run/conditions.h"

#include "data/images/decode.h"
#include "engine/core/error.h"
#include "engine/core/numerics.h"
#include "engine/core/parallel.h"
#include "engine/core/text.h"
#include "engine/devices/cpu_info.h"
#include "engine/devices/cuda_info.h"

namespace invp {

namespace {

constexpr const char* kComputed = "computed.";

/// The instructions that the compiler took for our own loops.
constexpr const char* kCompiledFor =
#if defined(__AVX512F__)
    "AVX-512";
#elif defined(__AVX2__)
    "AVX2";
#elif defined(__x86_64__)
    "SSE2";
#else
    "no vectors of x86";
#endif

}  // namespace

std::map<std::string, std::string> computing_conditions(Device device) {
  std::map<std::string, std::string> conditions = {
      {"threads", message(num_threads())},
      {"oneDNN", onednn_version()},
      {"instructions", onednn_instructions()},
      {"libjpeg-turbo", jpeg_library_version()},
      {"build", message(kCompiledFor, ", " INVP_BUILD)}};
  if (device == kCpu) return conditions;
  static const CudaInfo cuda = cuda_info();
  const auto number = static_cast<std::size_t>(device.index);
  if (number < cuda.gpus.size()) conditions["GPU"] = cuda.gpus[number].name;
  for (const CudaLibrary& library : cuda.libraries) conditions[library.name] = library.loaded;
  return conditions;
}

void write_conditions(const std::map<std::string, std::string>& conditions, Metadata& metadata) {
  for (const auto& [name, value] : conditions) metadata[kComputed + name] = value;
}

std::string resumed_elsewhere(const Metadata& checkpoint, Device device,
                              const std::string& origin) {
  std::string changed;
  for (const auto& [name, value] : computing_conditions(device)) {
    const auto before = checkpoint.find(kComputed + name);
    if (before == checkpoint.end() || before->second == value) continue;
    changed +=
        message(changed.empty() ? "" : "; ", name, ' ', value, ", was ", printable(before->second));
  }
  if (changed.empty()) return {};
  CHECK(!numerics().deterministic, origin,
        ": --deterministic promises the bits of an uninterrupted run, and this is another place: ",
        changed, "; resume it where it ran, or start anew with another --out");
  return "the last bits may differ from those of an uninterrupted run: " + changed;
}

}  // namespace invp
