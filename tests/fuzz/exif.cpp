// A block of EXIF data.
#include "data/images/decoders.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace invp;
  const fuzz::Bytes block = decoders::without_exif_mark(fuzz::Bytes(data, size));
  const int orientation = decoders::exif_orientation(block);
  if (orientation < 1 || orientation > 8) fuzz::fault("an orientation outside of 1 to 8");
  return 0;
}
