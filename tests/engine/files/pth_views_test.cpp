// Tensors that a hostile checkpoint lets reach beyond the elements that are there. The files are
// put together here, opcode by opcode.
#include <gmock/gmock.h>

#include <cstring>

#include "engine/files/pth.h"
#include "engine/files/zip_writer.h"
#include "tests/support/temp_folder.h"

namespace invp {
namespace {

using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using testing::TempFolder;

std::string number(std::int64_t value) {
  std::string bytes("\x8a\x08", 2);
  bytes.resize(2 + sizeof value);
  std::memcpy(bytes.data() + 2, &value, sizeof value);
  return bytes;
}

std::string text(const std::string& value) {
  return std::string("X") + static_cast<char>(value.size()) + std::string(3, '\0') + value;
}

std::string tuple(const std::vector<std::int64_t>& values) {
  std::string pickle = "(";
  for (const std::int64_t value : values) pickle += number(value);
  return pickle + "t";
}

/// A tensor "a" of f64 in storage "0".
struct View {
  std::int64_t count = 0;            ///< of the storage: elements, or bytes of an untyped one
  std::vector<std::int64_t> part{};  ///< where a part of the storage begins, and its count
  std::int64_t offset = 0;
  std::vector<std::int64_t> extents{1}, strides{1};
  bool untyped = false;

  std::string pickle() const {
    std::string all = "}" + text("a");
    all +=
        untyped ? "ctorch._utils\n_rebuild_tensor_v3\n((" : "ctorch._utils\n_rebuild_tensor_v2\n((";
    all += text("storage");
    all += untyped ? "ctorch.storage\nUntypedStorage\n" : "ctorch\nDoubleStorage\n";
    all += text("0") + text("cpu") + number(count);
    if (!part.empty()) all += "(" + text("k") + number(part[0]) + number(part[1]) + "t";
    all += "tQ" + number(offset) + tuple(extents) + tuple(strides) + "\x89N";
    if (untyped) all += "ctorch\nfloat64\n";
    return "\x80\x02" + all + "tRs.";
  }
};

/// A zip archive whose storage "0" holds the numbers 0, 1, ... up to 9.
std::unique_ptr<TensorSource> opened(const TempFolder& folder, const View& view) {
  std::array<double, 10> elements{};
  for (std::size_t i = 0; i < elements.size(); ++i) elements.at(i) = static_cast<double>(i);
  ZipWriter zip(folder / "view.pth");
  zip.add("archive/data.pkl", view.pickle());
  zip.add("archive/data/0", std::as_bytes(std::span(elements)));
  zip.commit();
  return open_pth(folder / "view.pth");
}

std::vector<double> values(const TensorSource& source) {
  const std::vector<std::byte> bytes = source.bytes(0);
  std::vector<double> numbers(bytes.size() / sizeof(double));
  std::memcpy(numbers.data(), bytes.data(), bytes.size());
  return numbers;
}

TEST(PthHostileViews, TheFilesOfTheseTestsAreRead) {
  const TempFolder folder;
  EXPECT_THAT(values(*opened(folder, {.count = 10, .offset = 3, .extents = {2}, .strides = {4}})),
              ElementsAre(3, 7));
  EXPECT_THAT(values(*opened(folder, {.count = 10, .part = {6, 4}, .offset = 3})), ElementsAre(9));
  EXPECT_THAT(values(*opened(folder, {.count = 80, .offset = 2, .untyped = true})), ElementsAre(2));
  EXPECT_THAT(values(*opened(folder, {.count = 80, .part = {72, 8}, .untyped = true})),
              ElementsAre(9));
}

TEST(PthHostileViews, AStorageThatIsNotThereTakesNoMemory) {
  const TempFolder folder;
  constexpr std::int64_t kMany = 1'000'000'000'000;
  const View view{.count = kMany + 1, .extents = {2}, .strides = {kMany}};
  const auto source = opened(folder, view);
  EXPECT_THAT(error_of([&] { source->bytes(0); }),
              HasSubstr("storage \"0\" has 80 bytes, not the"));

  // The plain form: magic number, protocol, system, object, keys, then the count and the elements.
  const std::string magic("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15);
  const std::string system = "\x80\x02}" + text("little_endian") + "\x88s.";
  const std::string count = number(kMany + 1).substr(2);
  const auto plain = open_pth(folder.write(
      "plain.pth", magic + "\x80\x02" + number(1001) + "." + system + view.pickle() + "\x80\x02](" +
                       text("0") + "e." + count + std::string(80, '\1')));
  EXPECT_THAT(error_of([&] { plain->bytes(0); }),
              HasSubstr("storage \"0\" reaches beyond the file"));
}

// Their bytes are counted in 64 bits: 2^61 + 10 numbers of 8 bytes would be 80.
TEST(PthHostileViews, CountsThatOverflowAreLeftOut) {
  const TempFolder folder;
  constexpr std::int64_t kWraps = std::int64_t{1} << 61;
  for (const std::int64_t offset : {std::int64_t{0}, kWraps / 2}) {
    const auto source = opened(folder, {.count = kWraps + 10, .offset = offset});
    EXPECT_TRUE(source->tensors().empty());
    EXPECT_THAT(source->left_out(), ElementsAre(HasSubstr("more elements than can be")));
  }
}

TEST(PthHostileViews, PartsOfUntypedStoragesAreCountedInBytes) {
  const TempFolder folder;
  const auto middle = opened(folder, {.count = 80, .part = {71, 8}, .untyped = true});
  EXPECT_THAT(middle->left_out(), ElementsAre(HasSubstr("in the middle of an element")));
  const auto beyond = opened(folder, {.count = 80, .part = {72, 8}, .offset = 1, .untyped = true});
  EXPECT_THAT(beyond->left_out(), ElementsAre(HasSubstr("reaches beyond")));
}

}  // namespace
}  // namespace invp
