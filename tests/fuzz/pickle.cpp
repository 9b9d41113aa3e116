// A pickle as the archives hold it: the checksums of a zip would keep damage from its reader.
// Tensors are read from two storages of zeros, "0" and "1".
#include "engine/files/pickle.h"

#include <algorithm>

#include "engine/files/pth_source.h"
#include "tests/fuzz/fuzz.h"

namespace invp::fuzz {
namespace {

constexpr std::uint64_t kContents = 1 << 16;

/// Counts as whole whatever the pickle says of its size.
class Zeros : public PthStorages {
 public:
  void read(const StorageReference& storage, std::uint64_t begin,
            std::span<std::byte> to) override {
    const std::uint64_t bytes = static_cast<std::uint64_t>(storage.count) * size_of(storage.type);
    if (begin > bytes || to.size() > bytes - begin) fault("a view outside of its storage");
    std::ranges::fill(to, std::byte{0});
  }
};

void read_tensors(Pickle pickle) {
  PthTensors tensors = find_tensors(*pickle.root, "pickle", most_tensor_bytes(kContents));
  const PthSource source("pickle", std::move(tensors), std::move(pickle), std::make_unique<Zeros>(),
                         /*swap=*/true, kContents);
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < source.tensors().size(); ++i) {
    total += source.tensors()[i].bytes;
    if (total > kSmall) return;
    reads([&] { source.bytes(i); });
    reads([&] { source.real_tensor(i); });
  }
}

}  // namespace
}  // namespace invp::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace invp;
  const auto bytes = std::as_bytes(fuzz::Bytes(data, size));
  fuzz::reads([&] {
    PickleInput input(bytes, "pickle");
    Pickle pickle = read_pickle(input);
    for (const PickleValue& value : *pickle.values) {
      if (const auto array = numpy_array(value)) {
        std::vector<std::byte> copy(array->bytes.size());
        array->copy_to(copy);
        array->integers();
      }
      numpy_scalar(value);
    }
    fuzz::read_tensors(std::move(pickle));
  });
  return 0;
}
