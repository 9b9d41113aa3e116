// The names and shapes of a file of weights, as lines "NAME<tab>3,4,5", and its notes, as lines
// "#KEY<tab>VALUE": which networks and detectors are in it, in torchvision's, torch's and
// detectron2's names. All elements are zeros.
#include <algorithm>
#include <charconv>

#include "layers/detection/find_detector.h"
#include "layers/find_network.h"
#include "tests/fuzz/fuzz.h"

namespace invp::fuzz {
namespace {

class Lines final : public TensorSource {
 public:
  explicit Lines(std::string_view text) : TensorSource("lines") {
    while (!text.empty()) {
      const std::string_view line = text.substr(0, text.find('\n'));
      text.remove_prefix(std::min(line.size() + 1, text.size()));
      const std::size_t tab = std::min(line.find('\t'), line.size());
      const std::string_view rest = line.substr(std::min(tab + 1, line.size()));
      if (line.starts_with('#')) {
        metadata_[std::string(line.substr(1, tab - 1))] = rest;
      } else {
        add(std::string(line.substr(0, tab)), rest);
      }
    }
    for (const StoredTensor& tensor : tensors_) contents_ += tensor.bytes;
  }

  void read(std::size_t /*index*/, std::span<std::byte> to) const override {
    std::ranges::fill(to, std::byte{0});
  }

 private:
  /// The readers hand out each name once, and counts that fit into 64 bits.
  void add(std::string name, std::string_view shape) {
    if (std::ranges::find(tensors_, name, &StoredTensor::name) != tensors_.end()) return;
    StoredTensor tensor{.name = std::move(name)};
    if (tensor.name.ends_with("num_batches_tracked")) tensor.type = StoredType::kI64;
    while (!shape.empty()) {
      std::int64_t extent = 0;
      const auto [end, error] = std::from_chars(shape.data(), shape.data() + shape.size(), extent);
      if (error != std::errc() || extent < 0) return;
      tensor.extents.push_back(extent);
      shape.remove_prefix(std::min(static_cast<std::size_t>(end - shape.data()) + 1, shape.size()));
    }
    const auto bytes = checked_bytes(tensor.extents, tensor.type);
    if (!bytes || *bytes > (std::uint64_t{1} << 40)) return;
    tensor.bytes = *bytes;
    tensors_.push_back(std::move(tensor));
  }
};

bool is_small(const TensorSource& source) {
  return source.contents() <= kSmall;
}

void look(const TensorSource& source, const std::string& prefix) {
  reads([&] {
    const FoundNetwork network = choose_network(source, prefix);
    describe(network);
    for (const auto& [name, place] : network.tensors) {
      if (place >= source.tensors().size()) fault("a network of tensors that are not there");
      name_in_file(network.naming, name);
    }
    if (is_small(source)) read_network(source, network, network.head);
  });
  reads([&] {
    const FoundDetector detector = choose_detector(source, prefix);
    describe(detector);
    if (is_small(source)) read_detector(source, detector);
  });
}

}  // namespace
}  // namespace invp::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace invp;
  const fuzz::Lines source(fuzz::text_of(fuzz::Bytes(data, size)));
  std::vector<std::string> misses;
  for (const FoundNetwork& network : find_networks(source.tensors(), &misses))
    fuzz::look(source, network.prefix);
  fuzz::look(source, "");
  fuzz::reads([&] { holds_detector(source); });
  return 0;
}
