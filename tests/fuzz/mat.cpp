// MATLAB files: as those of data sets, then every cell and field.
#include <algorithm>
#include <array>

#include "data/sets/fine_grained.h"
#include "data/sets/mat_file.h"
#include "data/sets/svhn.h"
#include "tests/fuzz/fuzz.h"

namespace invp::fuzz {
namespace {

constexpr std::int64_t kMostShown = 4;  // an Error for each wrong question takes long

void walk(const MatValue& value, int depth) {
  const std::int64_t count = std::min(value.count(), kMostShown);
  reads([&] { value.text(); });
  reads([&] { value.bytes(); });
  for (std::int64_t i = 0; i < count; ++i) {
    reads([&] { value.integer(i, 0, 1000); });
    if (depth == 0) continue;
    reads([&] { walk(value.cell(i), depth - 1); });
    for (const char* name : {"class", "fname", "relative_im_path", "test", "WNID"})
      reads([&] { walk(value.field(i, name), depth - 1); });
  }
}

}  // namespace
}  // namespace invp::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace invp;
  static const fuzz::Folder folder("setid.mat", {"imagelabels.mat", "cars_annos.mat"});
  const auto path = folder.write("setid.mat", fuzz::Bytes(data, size));
  constexpr std::array kVariables = {"X", "y", "annotations", "labels", "class_names", "synsets"};
  fuzz::reads([&] {
    const MatFile file(path);
    for (const char* name : kVariables) {
      fuzz::reads([&] { fuzz::walk(file.variable(name), 2); });
    }
  });
  fuzz::reads([&] { open_svhn(path); });
  for (const bool train : {true, false}) {
    fuzz::reads([&] { open_flowers102(folder.path(), train); });
    fuzz::reads([&] { open_cars(folder.path(), train); });
  }
  return 0;
}
