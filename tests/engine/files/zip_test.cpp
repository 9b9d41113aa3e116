// Archives made byte by byte after PKWARE's APPNOTE 6.3, sections 4.3 to 4.5.
#include <gmock/gmock.h>
#include <zlib.h>

#include "engine/core/stopwatch.h"
#include "engine/files/pth.h"
#include "engine/files/zip_reader.h"
#include "engine/files/zip_writer.h"
#include "tests/engine/files/file_values.h"
#include "tests/support/close.h"
#include "tests/support/temp_folder.h"

namespace invp {
namespace {

using ::testing::AllOf;
using testing::error_of;
using testing::golden;
using ::testing::HasSubstr;
using testing::read_all;
using testing::TempFolder;

/// The forms an entry can take.
struct Form {
  bool deflated = false;
  bool descriptor = false;  ///< sizes and CRC follow the bytes
  bool zip64 = false;       ///< sizes and offset stand in the zip64 field
  bool encrypted = false;   ///< says so; the bytes are as they are
  std::uint16_t method = 0;
  std::optional<std::uint64_t> claimed_size;
  std::uint32_t crc_error = 0;
};

std::string number(std::uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> (8 * i) & 0xFF);
  return text;
}

/// A bare deflate stream, without zlib's header.
std::string deflated(const std::string& bytes) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY);
  std::string packed(deflateBound(&stream, bytes.size()), '\0');
  std::string input = bytes;
  stream.next_in = reinterpret_cast<Bytef*>(input.data());
  stream.avail_in = static_cast<uInt>(input.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

class Archive {
 public:
  void add(const std::string& name, const std::string& bytes, const Form& form = {}) {
    const std::string packed = form.deflated ? deflated(bytes) : bytes;
    const auto crc = static_cast<std::uint32_t>(
        crc32(0, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size())));
    const std::uint64_t size = form.claimed_size.value_or(bytes.size());
    const std::uint64_t offset = body_.size();
    const std::uint16_t method = form.deflated ? 8 : form.method;
    const std::string start = number(form.zip64 ? 45 : 20, 2) +
                              number((form.descriptor ? 8 : 0) | (form.encrypted ? 1 : 0), 2) +
                              number(method, 2) + number(0x210000, 4);
    const std::string check = number(crc ^ form.crc_error, 4);
    const auto sizes = [&](int width) {
      return number(packed.size(), width) + number(size, width);
    };
    const std::string both = form.zip64 ? number(size, 8) + number(packed.size(), 8) : "";
    const std::string field = form.zip64 ? number(1, 2) + number(16, 2) + both : "";
    body_ += "PK\x03\x04" + start +
             (form.descriptor ? number(0, 12) : check + short_sizes(form, sizes(4)));
    body_ += number(name.size(), 2) + number(field.size(), 2) + name + field + packed;
    if (form.descriptor) body_ += "PK\x07\x08" + check + sizes(form.zip64 ? 8 : 4);
    const std::string far =
        form.zip64 ? number(1, 2) + number(24, 2) + both + number(offset, 8) : "";
    directory_ += "PK\x01\x02" + number(45, 2) + start + check + short_sizes(form, sizes(4));
    directory_ += number(name.size(), 2) + number(far.size(), 2) + number(0, 10);
    directory_ += (form.zip64 ? number(0xFFFFFFFF, 4) : number(offset, 4)) + name + far;
    ++count_;
  }

  /// `count`: the number of entries that the end claims; `zip64`: also in a zip64 end.
  std::string bytes(bool zip64 = false, std::optional<std::uint64_t> count = {}) const {
    const std::uint64_t entries = count.value_or(count_);
    std::string whole = body_ + directory_;
    if (zip64) {
      const std::uint64_t end = whole.size();
      whole += "PK\x06\x06" + number(44, 8) + number(45, 2) + number(45, 2) + number(0, 8) +
               number(entries, 8) + number(entries, 8) + number(directory_.size(), 8) +
               number(body_.size(), 8);
      whole += "PK\x06\x07" + number(0, 4) + number(end, 8) + number(1, 4);
      return whole + "PK\x05\x06" + number(0, 4) + number(0xFFFFFFFF, 4) +
             number(0xFFFFFFFFFFFFFFFF, 8) + number(0, 2);
    }
    return whole + "PK\x05\x06" + number(0, 4) + number(entries, 2) + number(entries, 2) +
           number(directory_.size(), 4) + number(body_.size(), 4) + number(0, 2);
  }

 private:
  static std::string short_sizes(const Form& form, const std::string& sizes) {
    return form.zip64 ? number(0xFFFFFFFFFFFFFFFF, 8) : sizes;
  }
  std::string body_, directory_;
  std::uint64_t count_ = 0;
};

std::string text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string text(std::size_t size) {
  std::string result;
  for (std::size_t i = 0; i < size; ++i) result += static_cast<char>('a' + i * i % 23);
  return result;
}

class ZipForms : public ::testing::TestWithParam<Form> {};
INSTANTIATE_TEST_SUITE_P(Each, ZipForms,
                         ::testing::Values(Form{}, Form{.deflated = true}, Form{.descriptor = true},
                                           Form{.zip64 = true},
                                           Form{.deflated = true, .descriptor = true},
                                           Form{.deflated = true, .zip64 = true},
                                           Form{.descriptor = true, .zip64 = true}));

TEST_P(ZipForms, AreRead) {
  const TempFolder folder;
  Archive archive;
  const std::vector<std::string> contents = {text(1), "", text(70'000), text(300)};
  for (std::size_t i = 0; i < contents.size(); ++i) {
    archive.add("folder/" + std::to_string(i), contents[i], GetParam());
  }
  for (const bool zip64 : {false, true}) {
    const ZipReader zip(folder.write("a.zip", archive.bytes(zip64)));
    ASSERT_EQ(zip.entries().size(), contents.size());
    EXPECT_EQ(zip.contents(), 70'301U);
    for (std::size_t i = contents.size(); i-- > 0;) {
      const ZipReader::Entry* entry = zip.find("folder/" + std::to_string(i));
      ASSERT_NE(entry, nullptr);
      EXPECT_EQ(entry->size, contents[i].size());
      EXPECT_EQ(text_of(zip.read(*entry)), contents[i]);
      EXPECT_EQ(text_of(zip.read(*entry)), contents[i]) << "a second time";
    }
    EXPECT_EQ(zip.find("folder"), nullptr);
  }
}

// What PyTorch wrote, packed again in another form, is the same checkpoint.
TEST_P(ZipForms, OfACheckpointGiveTheSameTensors) {
  const TempFolder folder;
  const auto original = golden("files/views.pth");
  const ZipReader zip(original);
  Archive archive;
  for (const ZipReader::Entry& entry : zip.entries()) {
    archive.add(entry.name, text_of(zip.read(entry)), GetParam());
  }
  const TensorFile expected = read_pth(original);
  const TensorFile found = read_pth(folder.write("again.pth", archive.bytes()));
  ASSERT_EQ(found.tensors.size(), expected.tensors.size());
  for (std::size_t i = 0; i < expected.tensors.size(); ++i) {
    EXPECT_EQ(found.tensors[i].first, expected.tensors[i].first);
    testing::expect_identical(found.tensors[i].second, expected.tensors[i].second);
  }
}

TEST_P(ZipForms, WithAWrongCrcAreRefused) {
  const TempFolder folder;
  Form form = GetParam();
  form.crc_error = 1;
  Archive archive;
  archive.add("good", text(200));
  archive.add("bad", text(100), form);
  const auto path = folder.write("a.zip", archive.bytes());
  const ZipReader zip(path);
  EXPECT_EQ(text_of(zip.read(*zip.find("good"))), text(200));
  EXPECT_THAT(error_of([&] { zip.read(*zip.find("bad")); }),
              AllOf(HasSubstr(path.string()), HasSubstr("\"bad\""), HasSubstr("CRC")));
}

TEST(Zip, EntriesOfAnotherSizeThanTheyClaimAreRefused) {
  const TempFolder folder;
  for (const bool deflated : {false, true}) {
    for (const std::uint64_t claimed : {0, 99, 101, 5'000}) {
      Archive archive;
      archive.add("entry", text(100), {.deflated = deflated, .claimed_size = claimed});
      const auto path = folder.write("a.zip", archive.bytes());
      EXPECT_THROW(
          {
            const ZipReader zip(path);
            zip.read(zip.entries()[0]);
          },
          Error)
          << claimed << deflated;
    }
  }
}

TEST(Zip, OtherKindsOfEntriesAreRefusedByName) {
  const TempFolder folder;
  const auto says = [&](const Form& form) {
    Archive archive;
    archive.add("the entry", text(100), form);
    return error_of([&] {
      const ZipReader zip(folder.write("a.zip", archive.bytes()));
      zip.read(zip.entries()[0]);
    });
  };
  EXPECT_THAT(says({.encrypted = true}), AllOf(HasSubstr("the entry"), HasSubstr("assword")));
  EXPECT_THAT(says({.method = 6}), AllOf(HasSubstr("the entry"), HasSubstr("not supported")));
}

TEST(Zip, NamesGivenTwiceAreRefused) {
  const TempFolder folder;
  Archive archive;
  archive.add("same", "1");
  archive.add("same", "2");
  EXPECT_THAT(error_of([&] { ZipReader(folder.write("a.zip", archive.bytes())); }),
              AllOf(HasSubstr("\"same\""), HasSubstr("twice")));
}

TEST(Zip, FindsEachOfManyNamesAtOnce) {
  const TempFolder folder;
  constexpr int kEntries = 50'000;
  {
    ZipWriter writer(folder / "many.zip");
    for (int i = 0; i < kEntries; ++i) writer.add("entry/" + std::to_string(i), std::string_view());
    writer.commit();
  }
  const ZipReader zip(folder / "many.zip");
  const Stopwatch stopwatch;
  for (int i = 0; i < kEntries; ++i)
    ASSERT_EQ(zip.find("entry/" + std::to_string(i))->name, "entry/" + std::to_string(i));
  EXPECT_EQ(zip.find("entry/"), nullptr);
  EXPECT_LT(stopwatch.seconds(), 5) << "is every name compared with every other?";
}

TEST(Zip, OfNothingHoldsNoCheckpoint) {
  const TempFolder folder;
  const auto path = folder.write("empty.pth", Archive().bytes());
  EXPECT_TRUE(ZipReader(path).entries().empty());
  EXPECT_TRUE(looks_like_pth(path));
  EXPECT_THAT(error_of([&] { read_pth(path); }), HasSubstr("without data.pkl"));
}

TEST(Zip, BombsAreRefusedBeforeTheyUnpack) {
  const TempFolder folder;
  Archive archive;
  const std::string zeros(std::size_t{40} << 20, '\0');
  for (int i = 0; i < 3; ++i) archive.add(std::to_string(i), zeros, {.deflated = true});
  EXPECT_THAT(error_of([&] { ZipReader(folder.write("a.zip", archive.bytes())); }),
              AllOf(HasSubstr("\"1\""), HasSubstr("zip -0")));
  Archive claims;
  claims.add("huge", "a", {.zip64 = true, .claimed_size = std::uint64_t{1} << 62});
  claims.add("too", "b", {.zip64 = true, .claimed_size = ~std::uint64_t{0} >> 1});
  EXPECT_THAT(error_of([&] { ZipReader(folder.write("a.zip", claims.bytes())); }),
              HasSubstr("\"huge\""));
}

TEST(Zip, MoreEntriesThanThereAreAreRefused) {
  const TempFolder folder;
  Archive archive;
  archive.add("entry", text(100));
  for (const std::uint64_t count :
       {std::uint64_t{2}, std::uint64_t{1} << 31, std::uint64_t{1} << 40, ~std::uint64_t{0}}) {
    EXPECT_THROW(ZipReader(folder.write("a.zip", archive.bytes(true, count))), Error) << count;
  }
}

// As torch.load(mmap=True) wants them.
TEST(Zip, WrittenEntriesAreAlignedAndReadBack) {
  const TempFolder folder;
  const auto path = folder.path() / "written.zip";
  ZipWriter writer(path);
  for (std::size_t i = 0; i < 40; ++i) writer.add("name" + std::string(i, 'n'), text(10 * i));
  writer.commit();
  const std::string whole = read_all(path);
  const ZipReader zip(path);
  ASSERT_EQ(zip.entries().size(), 40U);
  for (std::size_t i = 0; i < 40; ++i) {
    EXPECT_EQ(text_of(zip.read(zip.entries()[i])), text(10 * i));
    if (i > 9) {
      EXPECT_EQ(whole.find(text(10 * i)) % 64, 0U) << i;
    }
  }
}

}  // namespace
}  // namespace invp
