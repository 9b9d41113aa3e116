// Small pickles that recall what they have again and again, so that a reader that copies or looks
// through it each time takes gigabytes or hours. All of them are refused or read within seconds.
#include <gmock/gmock.h>

#include <cstdint>
#include <cstring>
#include <string>

#include "engine/core/stopwatch.h"
#include "engine/files/pth.h"
#include "engine/files/zip_writer.h"
#include "tests/support/temp_folder.h"

namespace invp {
namespace {

using testing::error_of;
using ::testing::HasSubstr;
using testing::TempFolder;

constexpr double kSeconds = 20;  // of a slow machine with sanitizers; without limits it is minutes

template <class Integer>
std::string bytes_of(Integer value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}
std::string text(const std::string& value) {
  return "X" + bytes_of(static_cast<std::uint32_t>(value.size())) + value;
}
std::string times(std::size_t count, const std::string& part) {
  std::string all;
  all.reserve(count * part.size());
  for (std::size_t i = 0; i < count; ++i) all += part;
  return all;
}

// Opcodes.
const std::string kProtocol("\x80\x02", 2);
const std::string kPut0("q\0", 2), kPut1("q\1", 2), kGet0("h\0", 2), kGet1("h\1", 2);
const std::string kNewTrue("\x88", 1), kNewFalse("\x89", 1), kStackGlobal("\x93", 1);
const std::string kOne("K\1", 2), kZero("K\0", 2), kTuple1("\x85", 1), kTuple3("\x87", 1);
const std::string kMillion(1'000'000, 'a');

class PickleBombs : public ::testing::Test {
 protected:
  /// The root is a list of `items`, after `before` has left nothing on the stack.
  std::unique_ptr<TensorSource> opened(const std::string& before, const std::string& items) const {
    ZipWriter zip(folder_ / "bomb.pth");
    zip.add("archive/data.pkl", kProtocol + before + "](" + items + "e.");
    zip.commit();
    return open_pth(folder_ / "bomb.pth");
  }
  std::string refusal(const std::string& before, const std::string& items) const {
    return error_of([&] { opened(before, items); });
  }

  Stopwatch stopwatch_;
  TempFolder folder_;
};

TEST_F(PickleBombs, NamesAreNotRepeatedWithoutEnd) {
  EXPECT_THAT(refusal("cm\n" + kMillion + "\n" + kPut0 + "0", times(20'000, kGet0 + ")R")),
              HasSubstr("repeats its texts"));
  EXPECT_THAT(refusal(text(kMillion) + kPut0 + "0", times(10'000, kGet0 + kGet0 + kStackGlobal)),
              HasSubstr("repeats its texts"));
  const std::string no_latin1 = kMillion + "\xe2\x82\xac";
  EXPECT_THAT(refusal("c_codecs\nencode\n" + kPut0 + "0" + text(no_latin1) + text("latin1") +
                          "\x86" + kPut1 + "0",
                      times(100'000, kGet0 + kGet1 + "R")),
              HasSubstr("encodes more bytes"));
  EXPECT_LT(stopwatch_.seconds(), kSeconds);
}

TEST_F(PickleBombs, WhatIsLeftOutIsToldInShort) {
  const auto source =
      opened("ctorch._utils\n_rebuild_" + kMillion + "\n)R" + kPut0 + "0", times(20'000, kGet0));
  ASSERT_FALSE(source->left_out().empty());
  for (const std::string& reason : source->left_out()) ASSERT_LT(reason.size(), 300u);
}

TEST_F(PickleBombs, SharedDictionariesAreCounted) {
  EXPECT_THAT(refusal("}(" + times(300'000, "NN") + "u" + kPut0 + "0", times(300'000, kGet0)),
              HasSubstr("no checkpoint of a network is like this"));
  std::string chain = kGet0;
  for (int i = 0; i < 63; ++i) chain = "(" + chain + "l";
  EXPECT_THAT(refusal("(" + times(300'000, "N") + "l" + kPut0 + "0" + chain + kPut1 + "0",
                      times(15'000, kGet1)),
              HasSubstr("no checkpoint of a network is like this"));
  EXPECT_LT(stopwatch_.seconds(), kSeconds);
}

TEST_F(PickleBombs, AStateIsLookedThroughOnce) {
  const auto source =
      opened("}(" + times(300'000, kOne + "N") + "u" + kPut0 + "0cm\nf\n" + kPut1 + "0",
             times(100'000, kGet1 + ")R" + kGet0 + "b"));
  EXPECT_TRUE(source->tensors().empty());
  EXPECT_LT(stopwatch_.seconds(), kSeconds);
}

TEST_F(PickleBombs, LongTextsAreNotCopiedToBeThrownAway) {
  EXPECT_TRUE(opened(text(kMillion) + kPut0 + "0", times(300'000, kGet0))->metadata().empty());
  EXPECT_LT(stopwatch_.seconds(), kSeconds);
}

TEST_F(PickleBombs, ShapesHaveAnEnd) {
  const std::string shape = "(" + times(300'000, kOne) + "t";
  const std::string dtype = "cnumpy\ndtype\n(" + text("f4") + "tR";
  const std::string array = "cnumpy.core.multiarray\n_reconstruct\n)R(" + kOne + shape + dtype +
                            kNewFalse + "C\4abcdtb" + kPut0 + "0";
  EXPECT_TRUE(opened(array, times(300'000, kGet0))->tensors().empty());
  EXPECT_LT(stopwatch_.seconds(), kSeconds);
}

/// A tensor of one byte in storage `key` of 30 million, with a stride if there are two.
std::string tensor(const std::string& key, bool two) {
  constexpr std::int32_t kBytes = 30'000'000;
  const std::string stride = two ? "J" + bytes_of(kBytes - 1) : kOne;
  return "ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + "ctorch\nByteStorage\n" +
         text(key) + text("cpu") + "J" + bytes_of(kBytes) + "tQ" + kZero + (two ? "K\2" : kOne) +
         kTuple1 + stride + kTuple1 + kNewFalse + "NtR";
}

TEST_F(PickleBombs, StoragesAreNotUnpackedForEachOfTheirViews) {
  const std::vector<std::byte> zeros(30'000'000);
  for (const bool strided : {false, true}) {
    const std::string path = folder_ / (strided ? "strided.pth" : "alternate.pth");
    ZipWriter zip(path);
    zip.add("archive/data.pkl", kProtocol + tensor("0", strided) + kPut0 + "0" +
                                    tensor(strided ? "0" : "1", strided) + kPut1 + "0](" +
                                    times(5'000, kGet0 + kGet1) + "e.");
    zip.add("archive/data/0", zeros);
    zip.add("archive/data/1", zeros);
    zip.commit();
    EXPECT_THAT(error_of([&] { read_pth(path); }), HasSubstr("most of what is read"));
  }
  EXPECT_LT(stopwatch_.seconds(), kSeconds);
}

}  // namespace
}  // namespace invp
