// Packs that are cut, changed or written wrong: all damage is found and named.
#include <gmock/gmock.h>

#include <cstddef>
#include <cstring>
#include <functional>

#include "data/sets/pack_format.h"
#include "engine/core/error.h"
#include "engine/files/checksum.h"
#include "tests/data/sets/pack_fixture.h"

namespace invp {
namespace {

using ::testing::AllOf;
using testing::error_of;
using ::testing::HasSubstr;
using testing::read_all;

class PackDamageTest : public PackTest {
 protected:
  /// Does `change` to the bytes of the pack.
  void damage(const std::function<void(std::string&)>& change) const {
    std::string bytes = read_all(file());
    change(bytes);
    folder_.write("train.pack", bytes);
  }
  /// Does `change` to its header and gives that its right checksum again.
  void forge(const std::function<void(PackHeader&)>& change) const {
    damage([&](std::string& bytes) {
      PackHeader header;
      std::memcpy(&header, bytes.data(), sizeof header);
      change(header);
      header.header_crc = crc32(std::as_bytes(std::span(&header, 1)).first(60));
      std::memcpy(bytes.data(), &header, sizeof header);
    });
  }
};

TEST_F(PackDamageTest, ACutFileIsNamedAtEveryLength) {
  write({.shorter = 20, .quality = 30});
  const std::string whole = read_all(file());
  for (std::size_t length = 0; length < whole.size(); length += length < 80 ? 1 : 251) {
    folder_.write("train.pack", whole.substr(0, length));
    EXPECT_THAT(opening_says(),
                AllOf(HasSubstr(file().string()),
                      HasSubstr("at byte " + std::to_string(length) + ": the file ends here"),
                      HasSubstr("write it again with invp data pack")));
  }
  folder_.write("train.pack", whole + "x");
  EXPECT_THAT(opening_says(),
              HasSubstr("at byte " + std::to_string(whole.size()) + ": the file ends beyond this"));
}

TEST_F(PackDamageTest, AChangedByteIsFoundWhereverItIs) {
  write({.shorter = 20, .quality = 30});
  const std::string whole = read_all(file());
  PackHeader header;
  std::memcpy(&header, whole.data(), sizeof header);
  for (std::size_t at = 0; at < whole.size(); ++at) {
    const bool in_pictures = at >= sizeof header && at < header.index_offset;
    if (in_pictures && at % 97 != 0) continue;
    std::string bytes = whole;
    bytes[at] ^= 0x10;
    folder_.write("train.pack", bytes);
    if (!in_pictures) {
      EXPECT_THAT(opening_says(), AllOf(HasSubstr(file().string()), HasSubstr("at byte"),
                                        HasSubstr("invp data pack")))
          << at;
      continue;
    }
    const auto pack = open_pack(file());
    int found = 0;
    Sample sample;
    for (std::int64_t i = 0; i < pack->size(); ++i) {
      try {
        pack->fetch(i, sample);
      } catch (const Error& error) {
        EXPECT_THAT(error.what(), AllOf(HasSubstr("image " + std::to_string(i)),
                                        HasSubstr("does not have its checksum")));
        EXPECT_EQ(error_of([&] { pack->check(i); }), error.what());
        ++found;
      }
    }
    EXPECT_EQ(found, 1) << at;
  }
}

TEST_F(PackDamageTest, OtherFilesAndVersionsAreNamed) {
  folder_.write("train.pack", std::string(200, 'x'));
  EXPECT_THAT(opening_says(), AllOf(HasSubstr("at byte 0"), HasSubstr("this is no pack")));
  write_raw();
  forge([](PackHeader& header) { header.version = 7; });
  EXPECT_THAT(opening_says(), AllOf(HasSubstr("at byte 8"), HasSubstr("version 7"),
                                    HasSubstr("reads version 1"), HasSubstr("write it again")));
}

// What a checksum cannot know: numbers that were written wrong in the first place.
TEST_F(PackDamageTest, HeadersThatLieAreRefused) {
  write_raw();
  const std::string whole = read_all(file());
  const std::vector<std::function<void(PackHeader&)>> lies = {
      [](PackHeader& h) { h.index_offset = 3; },
      [](PackHeader& h) { h.index_offset = h.file_bytes + 1; },
      [](PackHeader& h) { h.index_offset += 1; },
      [](PackHeader& h) { h.images = 0; },
      [](PackHeader& h) { h.images = ~std::uint64_t{0}; },
      [](PackHeader& h) { h.images += 1; },
      [](PackHeader& h) { h.classes = 0; },
      [](PackHeader& h) { h.classes = 4'000'000; },
      [](PackHeader& h) { h.encoding = static_cast<PackEncoding>(2); },
      [](PackHeader& h) { h.file_bytes = 10; },
      [](PackHeader& h) { h.presences = 1; },
  };
  for (std::size_t i = 0; i < lies.size(); ++i) {
    folder_.write("train.pack", whole);
    forge(lies[i]);
    EXPECT_THAT(opening_says(), AllOf(HasSubstr("at byte"), HasSubstr(file().string()))) << i;
  }
}

TEST_F(PackDamageTest, RecordsThatLieAreRefused) {
  write_raw();
  const std::string whole = read_all(file());
  const std::vector<std::function<void(PackRecord&)>> lies = {
      [](PackRecord& r) { r.offset = 3; },
      [](PackRecord& r) { r.offset = ~std::uint64_t{0}; },
      [](PackRecord& r) { r.bytes = ~0u; },
      [](PackRecord& r) { r.bytes = 0; },
      [](PackRecord& r) { r.width += 1; },
      [](PackRecord& r) { r.width = 0; },
      [](PackRecord& r) { r.height = 1u << 31; },
      [](PackRecord& r) { r.label = 2; },
      [](PackRecord& r) { r.name = ~0u; },
  };
  for (std::size_t i = 0; i < lies.size(); ++i) {
    folder_.write("train.pack", whole);
    PackHeader header;
    std::memcpy(&header, whole.data(), sizeof header);
    damage([&](std::string& bytes) {
      PackRecord record;
      char* at = bytes.data() + header.index_offset + 5 * sizeof record;
      std::memcpy(&record, at, sizeof record);
      lies[i](record);
      std::memcpy(at, &record, sizeof record);
      header.index_crc = crc32(std::as_bytes(std::span(bytes)).subspan(header.index_offset));
    });
    forge([&](PackHeader& h) { h.index_crc = header.index_crc; });
    EXPECT_THAT(opening_says(),
                AllOf(HasSubstr("at byte " + std::to_string(header.index_offset + 160)),
                      HasSubstr("the record of image 5")))
        << i;
  }
}

// Each picture could have it, and a message or a list would hold it as often.
TEST_F(PackDamageTest, ANameWithoutAnEndIsRefused) {
  write_raw();
  for (const std::string& more : {std::string("x"), std::string(8193, 'x') + '\0'}) {
    std::string bytes = read_all(file());
    PackHeader header;
    std::memcpy(&header, bytes.data(), sizeof header);
    PackRecord record;
    const std::size_t text =
        header.index_offset + static_cast<std::size_t>(header.images) * sizeof record;
    std::memcpy(&record, &bytes[header.index_offset], sizeof record);
    record.name = static_cast<std::uint32_t>(bytes.size() - text);
    std::memcpy(&bytes[header.index_offset], &record, sizeof record);
    bytes += more;
    folder_.write("train.pack", bytes);
    forge([&](PackHeader& h) {
      h.file_bytes = bytes.size();
      h.index_crc = crc32(std::as_bytes(std::span(bytes)).subspan(header.index_offset));
    });
    EXPECT_THAT(opening_says(), AllOf(HasSubstr("the record of image 0"), HasSubstr("too long")));
    write_raw();
  }
}

TEST_F(PackDamageTest, AFileCutWhileItIsOpenIsAnError) {
  write_raw();
  const auto pack = open_pack(file());
  fs::resize_file(file(), 12'000);  // the first picture has 10,800 bytes
  EXPECT_EQ(pack->load(0), set_->load(0));
  EXPECT_THAT(error_of([&] { pack->load(1); }),
              AllOf(HasSubstr(file().string()), HasSubstr("at byte 12000"),
                    HasSubstr("leave it alone while it is in use")));
}

TEST_F(PackDamageTest, AReplacedFileGoesOnAsItWas) {
  write_raw();
  const auto pack = open_pack(file());
  const Image before = pack->load(11);
  write({.raw = true, .shorter = 10});
  EXPECT_EQ(pack->load(11), before);
}

}  // namespace
}  // namespace invp
