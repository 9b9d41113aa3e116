// Pickles of numpy arrays: golden/make_detectron2.py wrote arrays_*.pkl.
#include "engine/files/numpy_pickle.h"

#include <gmock/gmock.h>

#include "engine/files/numpy_pickle_writer.h"
#include "engine/files/pth_tensors.h"
#include "engine/files/safetensors.h"
#include "engine/files/weights.h"
#include "tests/support/temp_folder.h"

namespace invp {
namespace {

using testing::error_of;
using ::testing::HasSubstr;
using testing::TempFolder;
using namespace std::string_literals;

const std::string kFolder = std::string(INVP_SOURCE_DIR) + "/tests/golden/data/detectron2/";

class NumpyPickles : public ::testing::TestWithParam<const char*> {};

TEST_P(NumpyPickles, HoldTheArraysOfEveryForm) {
  const auto wanted = open_safetensors(kFolder + "arrays.safetensors");
  const auto source = open_weights(kFolder + "arrays_" + GetParam() + ".pkl");
  EXPECT_TRUE(source->left_out().empty());
  ASSERT_EQ(source->tensors().size(), wanted->tensors().size());
  for (std::size_t i = 0; i < wanted->tensors().size(); ++i) {
    const StoredTensor& want = wanted->tensors()[i];
    const auto found = std::ranges::find(source->tensors(), want.name, &StoredTensor::name);
    ASSERT_NE(found, source->tensors().end()) << want.name;
    EXPECT_EQ(found->type, want.type) << want.name;
    EXPECT_EQ(found->extents, want.extents) << want.name;
    const auto place = static_cast<std::size_t>(found - source->tensors().begin());
    EXPECT_EQ(source->bytes(place), wanted->bytes(i)) << want.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Forms, NumpyPickles,
                         ::testing::Values("protocol0", "protocol2", "protocol3", "protocol4",
                                           "protocol5", "numpy1_protocol4", "python2_protocol0",
                                           "python2_protocol2"));

TEST(NumpyPickleFile, CutShortIsAnError) {
  const TempFolder folder;
  for (const char* name : {"protocol0", "protocol2", "protocol5", "python2_protocol2"}) {
    const std::string whole = testing::read_all(kFolder + "arrays_" + name + ".pkl");
    for (std::size_t length = 0; length < whole.size(); length += 97) {
      const auto cut = folder.write("cut.pkl", std::string_view(whole).substr(0, length));
      EXPECT_THAT(error_of([&] { open_weights(cut); }), HasSubstr("cut.pkl: ")) << length;
    }
  }
}

TEST(NumpyPickleFile, IsToldFromAHeaderThatBeginsAlike) {
  // The length of this header, 0x0280, begins like a pickle of protocol 2.
  const TempFolder folder;
  const std::string path = folder / "a.safetensors";
  const auto write = [&](std::size_t note) {
    write_safetensors(path, TensorFile{.tensors = {{"w", Tensor::zeros({2})}},
                                       .metadata = {{"note", std::string(note, 'x')}}});
    return static_cast<unsigned char>(testing::read_all(path)[0]);
  };
  write(0x280 - write(0));
  ASSERT_TRUE(testing::read_all(path).starts_with("\x80\x02"));
  EXPECT_EQ(open_weights(path)->tensors().size(), 1u);
}

// --- arrays that lie

std::string little_endian(std::uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> (8 * i) & 0xFF);
  return text;
}
std::string integer(std::int64_t value) {
  return "\x8a\x08"s + little_endian(static_cast<std::uint64_t>(value), 8);
}
std::string tuple(const std::vector<std::int64_t>& values) {
  std::string text = "(";
  for (const std::int64_t value : values) text += integer(value);
  return text + "t";
}
std::string text(const std::string& value) {
  return "X"s + little_endian(value.size(), 4) + value;
}
std::string dtype(const std::string& code) {
  return "cnumpy\ndtype\n" + text(code) + "\x89\x88\x87R(K\x03" + text("<") + "NNNNNK\x00tb"s;
}
/// {"w": the array}
std::string reconstructed(const std::vector<std::int64_t>& shape, const std::string& code,
                          const std::string& elements) {
  return "\x80\x04}" + text("w") +
         "cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85"s + "C\x01" +
         "btR(K\x01" + tuple(shape) + dtype(code) + "\x89" + elements + "tbs.";
}
std::string buffered(const std::vector<std::int64_t>& shape, const std::string& elements,
                     const std::string& order, const std::string& axes = "") {
  return "\x80\x05}" + text("w") + "cnumpy._core.numeric\n_frombuffer\n(" + elements + dtype("f4") +
         tuple(shape) + text(order) + axes + "tRs.";
}
std::string bytes_of(std::size_t count) {
  return "\x8e" + little_endian(count, 8) + std::string(count, 'x');
}

/// Why the array is left out; empty if it is read.
std::string left_out(const std::string& pickle) {
  PickleInput input(std::as_bytes(std::span(pickle)), "p.pkl");
  const Pickle tree = read_pickle(input);
  const PthTensors found = find_tensors(*tree.root, "p.pkl", 1 << 20);
  EXPECT_EQ(found.tensors.size() + found.left_out.size(), 1u);
  return found.left_out.empty() ? "" : found.left_out.front();
}

TEST(NumpyArrayOfAPickle, MustBeWhatItSays) {
  EXPECT_EQ(left_out(reconstructed({2, 3}, "f4", bytes_of(24))), "");
  EXPECT_EQ(left_out(buffered({2, 3}, bytes_of(24), "F")), "");
  EXPECT_EQ(left_out(buffered({2, 3}, bytes_of(24), "K", tuple({1, 0}))), "");
  constexpr std::int64_t kHuge = INT64_C(1) << 62;
  const std::pair<std::string, const char*> lies[] = {
      {reconstructed({2, 4}, "f4", bytes_of(24)), "do not fit"},
      {reconstructed({kHuge}, "f4", bytes_of(4)), "do not fit"},
      {reconstructed({kHuge, kHuge, 4}, "f4", bytes_of(4)), "do not fit"},
      {reconstructed({-6}, "f4", bytes_of(24)), "do not fit"},
      {reconstructed({-2, -3}, "f4", bytes_of(24)), "do not fit"},
      {reconstructed(std::vector<std::int64_t>(65, 1), "f4", bytes_of(4)), "do not fit"},
      {reconstructed({3}, "f4", "]"), "do not fit"},
      {reconstructed({1}, "O8", "](Ne"), "objects, texts or records"},
      {reconstructed({1}, "V8", bytes_of(8)), "objects, texts or records"},
      {reconstructed({1}, "U1", bytes_of(4)), "objects, texts or records"},
      {buffered({6}, "\x97", "C"), "beside the pickle"},
      {buffered({2, 3}, bytes_of(24), "K", tuple({0, 0})), "do not fit"},
      {buffered({2, 3}, bytes_of(24), "K", tuple({0, 2})), "do not fit"},
      {buffered({2, 3}, bytes_of(24), "K", tuple({-1, 0})), "do not fit"},
      {buffered({2, 3}, bytes_of(24), "K", tuple({0})), "do not fit"},
      {buffered({2, 3}, bytes_of(24), "K", "N"), ""},
  };
  for (const auto& [pickle, says] : lies) EXPECT_THAT(left_out(pickle), HasSubstr(says));
  // Lengths are looked at before anything is allocated for them.
  EXPECT_THAT(
      error_of([] { left_out(reconstructed({1}, "f4", "\x8e" + little_endian(1ULL << 60, 8))); }),
      HasSubstr("ends in the middle"));
  EXPECT_THAT(error_of([] { left_out(buffered({1}, "\x96" + little_endian(1ULL << 60, 8), "C")); }),
              HasSubstr("ends in the middle"));
}

TEST(NumpyArrayOfAPickle, EmptyOnesMayHaveAnyExtent) {
  constexpr std::int64_t kHuge = INT64_C(1) << 40;
  EXPECT_EQ(left_out(reconstructed({0, kHuge, 3}, "f4", bytes_of(0))), "");
  EXPECT_EQ(left_out(buffered({kHuge, 0}, bytes_of(0), "K", tuple({1, 0}))), "");
}

// --- writing

TEST(NumpyPickleWriter, ComesBackAsItWas) {
  const TempFolder folder;
  const std::string path = folder / "a.pkl";
  std::vector<StoredTensor> tensors;
  for (const StoredType type :
       {StoredType::kF64, StoredType::kF32, StoredType::kF16, StoredType::kI64, StoredType::kI32,
        StoredType::kI16, StoredType::kI8, StoredType::kU8, StoredType::kBool}) {
    tensors.push_back({"a." + name_of(type), type, {3, 2}, 6 * size_of(type)});
  }
  tensors.push_back({"one", StoredType::kI64, {}, 8});
  tensors.push_back({"none", StoredType::kF32, {0, 3}, 0});
  const FillElements fill = [](std::size_t i, std::span<std::byte> to) {
    for (std::size_t k = 0; k < to.size(); ++k) to[k] = static_cast<std::byte>(37 * i + 11 * k + 1);
  };
  write_numpy_pickle(path, tensors,
                     {.under = "model",
                      .notes = {{"flag", true},
                                {"word", std::string("w\xc3\xb6rd")},
                                {"list", std::vector<std::string>{"a", "b"}}}},
                     fill);
  const auto source = open_weights(path);
  ASSERT_EQ(source->tensors().size(), tensors.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    EXPECT_EQ(source->unwrapped(i), tensors[i].name);
    EXPECT_EQ(source->tensors()[i].type, tensors[i].type);
    EXPECT_EQ(source->tensors()[i].extents, tensors[i].extents);
    std::vector<std::byte> want(tensors[i].bytes);
    fill(i, want);
    EXPECT_EQ(source->bytes(i), want) << tensors[i].name;
  }
  EXPECT_EQ(source->metadata(),
            (std::map<std::string, std::string>{
                {"flag", "True"}, {"word", "w\xc3\xb6rd"}, {"list.0", "a"}, {"list.1", "b"}}));
}

TEST(NumpyPickleWriter, RefusesTypesThatNumpyHasNot) {
  const TempFolder folder;
  const std::vector<StoredTensor> tensors = {{"w", StoredType::kBF16, {1}, 2}};
  EXPECT_THAT(
      error_of([&] { write_numpy_pickle(folder / "a.pkl", tensors, {}, [](auto, auto) {}); }),
      HasSubstr("\"w\" is of type bf16, which numpy does not have"));
  EXPECT_FALSE(std::filesystem::exists(folder / "a.pkl"));
}

}  // namespace
}  // namespace invp
