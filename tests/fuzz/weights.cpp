// Files of weights: safetensors, and each form of PyTorch's checkpoints. Their bytes say which.
#include "engine/files/weights.h"

#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace invp;
  static const fuzz::Folder folder;
  const auto path = folder.write("weights", fuzz::Bytes(data, size));
  fuzz::reads([&] {
    const auto source = open_weights(path);
    fuzz::reads([&] { source->check_total(); });
    const std::uint64_t most = most_tensor_bytes(source->contents());
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < source->tensors().size(); ++i) {
      const std::uint64_t bytes = source->tensors()[i].bytes;
      if (bytes > most) fuzz::fault("a tensor outgrows its file");
      static_cast<void>(source->unwrapped(i));
      total += bytes;
      if (total > fuzz::kSmall) continue;
      fuzz::reads([&] { source->bytes(i); });
      fuzz::reads([&] { source->tensor(i); });
      fuzz::reads([&] { source->real_tensor(i); });
    }
    if (total <= fuzz::kSmall) fuzz::reads([&] { source->all(); });
  });
  return 0;
}
