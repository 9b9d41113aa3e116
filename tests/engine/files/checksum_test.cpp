// Checksums, and files of tensors of which one bit is another: they are refused, or nothing of what
// they hold has changed.
#include "engine/files/checksum.h"

#include <gmock/gmock.h>

#include <numeric>
#include <vector>

#include "engine/files/safetensors.h"
#include "tests/support/temp_folder.h"

namespace invp {
namespace {

using ::testing::AllOf;
using testing::error_of;
using testing::golden;
using ::testing::HasSubstr;
using testing::read_all;
using testing::TempFolder;

TEST(Checksum, IsThatOfTheStandards) {
  EXPECT_EQ(crc32c("123456789"), 0xE3069283u);  // RFC 3720, appendix B.4
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(crc32(std::as_bytes(std::span("123456789", 9))), 0xCBF43926u);
  EXPECT_EQ(crc32c(""), 0u);
  EXPECT_EQ(crc32({}), 0u);
}

TEST(Checksum, OfPartsIsThatOfTheWhole) {
  std::string text(1000, ' ');
  std::iota(text.begin(), text.end(), '\0');
  const std::span bytes = std::as_bytes(std::span(text));
  for (std::size_t cut = 0; cut <= text.size(); cut += 7) {
    EXPECT_EQ(crc32c(bytes.subspan(cut), crc32c(bytes.first(cut))), crc32c(bytes));
    EXPECT_EQ(crc32(bytes.subspan(cut), crc32(bytes.first(cut))), crc32(bytes));
  }
}

class SafetensorsDamage : public ::testing::Test {
 protected:
  SafetensorsDamage() {
    std::vector<float> values(3000);
    std::iota(values.begin(), values.end(), 0.5F);
    write_safetensors(path,
                      std::vector<std::pair<std::string, Tensor>>{
                          {"weight", Tensor::from(values, {30, 100})},
                          {"count", Tensor::from(std::vector<std::int64_t>{1, 2, 3}, {3})},
                          {"none", Tensor::empty({0, 4})}},
                      {{"kind", "a note"}});
    whole = read_all(path);
  }
  /// Writes the file with this content.
  void put(const std::string& bytes) const { folder.write("file.safetensors", bytes); }

  TempFolder folder;
  const std::filesystem::path path = folder / "file.safetensors";
  std::string whole;
};

TEST_F(SafetensorsDamage, AChecksumIsNoPartOfTheMetadata) {
  const TensorFile file = read_safetensors(path);
  EXPECT_TRUE(file.has_checksums);
  EXPECT_EQ(file.metadata, (std::map<std::string, std::string>{{"kind", "a note"}}));
  EXPECT_THAT(whole, HasSubstr("\"invp.crc32c\":\""));
}

TEST_F(SafetensorsDamage, EveryOtherBitIsRefused) {
  const std::size_t data = whole.find_last_of('}') + 1;
  for (std::size_t at = 0; at < whole.size(); at += at < data ? 1 : 13) {
    std::string bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ (1 << at % 8));
    put(bytes);
    // The name of the note that holds the checksums is all that may go: then there are none.
    const std::size_t key = whole.find("invp.crc32c");
    try {
      const TensorFile file = read_safetensors(path);
      EXPECT_TRUE(at >= key && at < key + 11 && !file.has_checksums) << "byte " << at;
      EXPECT_EQ(file.tensors.size(), 3u);
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), AllOf(HasSubstr("file.safetensors: "), HasSubstr("at byte ")));
    }
    const auto checked = [&] { check_safetensors(path, [](std::uint64_t) {}); };
    if (at < key || at >= key + 11) {
      EXPECT_FALSE(error_of(checked).empty()) << at;
    }
  }
}

TEST_F(SafetensorsDamage, NamesTheTensor) {
  std::string bytes = whole;
  bytes[bytes.size() - 1] ^= 1;  // wide elements come first
  put(bytes);
  const std::string error = error_of([&] { read_safetensors(path); });
  EXPECT_THAT(error, AllOf(HasSubstr("\"weight\""), HasSubstr("does not have its checksum")));
  EXPECT_EQ(error_of([&] { check_safetensors(path, [](std::uint64_t) {}); }), error);
  // The header is whole, and so is what it says.
  EXPECT_TRUE(read_safetensors_header(path).has_checksums);
}

TEST_F(SafetensorsDamage, AHeaderWithOtherNamesOrShapesIsRefused) {
  for (const auto& [from, to] : {std::pair("weight", "height"), std::pair("[30,100]", "[100,30]"),
                                 std::pair("a note", "a boat")}) {
    std::string bytes = whole;
    bytes.replace(bytes.find(from), std::string_view(from).size(), to);
    put(bytes);
    EXPECT_THAT(error_of([&] { read_safetensors_header(path); }),
                HasSubstr("the header does not have its checksum"));
  }
}

TEST_F(SafetensorsDamage, NotesThatLookLikeTheChecksumsDoNotDisturbThem) {
  const std::map<std::string, std::string> notes = {
      {"a\"invp.crc32c", "x"}, {"b", "\"invp.crc32c\":\""}, {"c,", ",\"invp.crc32c\":\""}};
  write_safetensors(path, std::vector<std::pair<std::string, Tensor>>{}, notes);
  const TensorFile file = read_safetensors(path);
  EXPECT_TRUE(file.has_checksums);
  EXPECT_EQ(file.metadata, notes);
}

TEST_F(SafetensorsDamage, FilesOfOthersHaveNoChecksums) {
  EXPECT_FALSE(read_safetensors(golden("files/types.safetensors")).has_checksums);
  EXPECT_FALSE(open_safetensors(golden("files/types.safetensors"))->has_checksums());
}

}  // namespace
}  // namespace invp
