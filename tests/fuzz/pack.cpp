// Packs, as they are and with the checksums of header and index set right: else damage would seldom
// get further than these.
#include <algorithm>
#include <cstring>
#include <vector>

#include "data/images/decode.h"
#include "data/sets/pack_dataset.h"
#include "data/sets/pack_format.h"
#include "engine/files/checksum.h"
#include "tests/fuzz/fuzz.h"

namespace invp::fuzz {
namespace {

void read_pack(const Folder& folder, Bytes bytes) {
  const auto path = folder.write("train.pack", bytes);
  looks_like_pack(path);
  find_pack(path, "val");
  reads([&] {
    const auto set = open_pack(path);
    set->storage();
    set->identity();
    set->why_no_labels();
    Sample sample;
    for (std::int64_t i = 0; i < set->size(); ++i) {
      if (set->has_labels() && (set->label(i) < 0 || set->label(i) >= std::ssize(set->classes())))
        fault("a label without a class");
      set->name(i);
      for (const Presence presence : set->presences(i)) {
        if (presence > Presence::kUnclear) fault("a presence that is none");
      }
      reads([&] { set->fetch(i, sample); });
      if (i < 4) reads([&] { set->check(i); });
    }
  });
}

/// Size and checksums as a writer would have them.
std::vector<std::uint8_t> sealed(Bytes bytes) {
  std::vector<std::uint8_t> pack(bytes.begin(), bytes.end());
  PackHeader header;
  std::memcpy(&header, pack.data(), sizeof header);
  header.magic = kPackMagic;
  header.version = kPackVersion;
  header.file_bytes = pack.size();
  const auto all = std::as_bytes(std::span(std::as_const(pack)));
  if (header.index_offset <= pack.size())
    header.index_crc = crc32(all.subspan(static_cast<std::size_t>(header.index_offset)));
  header.header_crc =
      crc32(std::as_bytes(std::span(&header, 1)).first(offsetof(PackHeader, header_crc)));
  std::memcpy(pack.data(), &header, sizeof header);
  return pack;
}

}  // namespace
}  // namespace invp::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace invp;
  static const fuzz::Folder folder;
  set_default_max_pixels(1 << 16);
  const fuzz::Bytes bytes(data, size);
  fuzz::read_pack(folder, bytes);
  if (size >= sizeof(PackHeader)) fuzz::read_pack(folder, fuzz::sealed(bytes));
  return 0;
}
