#include "engine/files/pth.h"

#include <gmock/gmock.h>

#include "engine/files/weights.h"
#include "tests/engine/files/file_values.h"
#include "tests/support/temp_folder.h"

namespace invp {
namespace {

using testing::error_of;
using testing::golden;
using ::testing::HasSubstr;
using testing::ramp;
using testing::read_all;
using testing::TempFolder;
using testing::value_at;

class PthGolden : public ::testing::TestWithParam<const char*> {};

TEST_P(PthGolden, HoldsEveryType) {
  const TensorFile file = read_pth(golden(GetParam()));
  testing::expect_all_types([&](const char* name) { return file.find(name); });
  EXPECT_EQ(file.tensors.size(), 12u);
}
INSTANTIATE_TEST_SUITE_P(Forms, PthGolden,
                         ::testing::Values("files/types.pth", "files/types_plain.pth",
                                           "files/types_protocol4.pth"));

class PthViews : public ::testing::TestWithParam<const char*> {};

TEST_P(PthViews, AreCopiedIntoRowMajorOrder) {
  const TensorFile file = read_pth(golden(GetParam()));
  const auto expect = [&](const char* name, const Shape& shape, const auto& value) {
    const Tensor* tensor = file.find(name);
    ASSERT_NE(tensor, nullptr) << name;
    ASSERT_EQ(tensor->shape(), shape) << name;
    for (std::int64_t i = 0; i < tensor->numel(); ++i)
      EXPECT_EQ(value_at(*tensor, i), value(i)) << name << i;
  };
  expect("base", {4, 6}, ramp);
  expect("tied", {4, 6}, ramp);
  expect("transposed", {6, 4}, [](std::int64_t i) { return ramp(i % 4 * 6 + i / 4); });
  expect("rows", {2, 6}, [](std::int64_t i) { return ramp(i + 6); });
  expect("columns", {4, 3}, [](std::int64_t i) { return ramp(i / 3 * 6 + i % 3 * 2 + 1); });
  expect("expanded", {4, 3}, [](std::int64_t i) { return ramp(i % 3); });
  expect("parameter", {2, 2}, ramp);
  expect("channels_last", {2, 3, 2, 2}, ramp);
  expect("permuted", {4, 2, 3}, [](std::int64_t i) { return ramp(i % 6 * 4 + i / 6); });
  EXPECT_NE(file.find("base")->raw(), file.find("tied")->raw())
      << "tensors must not share elements";
}
INSTANTIATE_TEST_SUITE_P(Forms, PthViews,
                         ::testing::Values("files/views.pth", "files/views_plain.pth"));

class PthCheckpoint : public ::testing::TestWithParam<const char*> {};

TEST_P(PthCheckpoint, UnwrapsTheStateDictAndKeepsTheRest) {
  const TensorFile file = read_pth(golden(GetParam()));
  const Tensor* weight = file.find("module.encoder_q.0.weight");
  ASSERT_NE(weight, nullptr);
  EXPECT_EQ(weight->shape(), (Shape{2, 3}));
  EXPECT_EQ(value_at(*weight, 5), ramp(5));
  const Tensor* count = file.find("module.encoder_q.1.num_batches_tracked");
  ASSERT_NE(count, nullptr);
  EXPECT_EQ(count->dtype(), DType::kI64);
  EXPECT_EQ(value_at(*count, 0), -3);
  EXPECT_NE(file.find("optimizer.state.0.momentum_buffer"), nullptr);
  EXPECT_EQ(file.metadata.at("epoch"), "7");
  EXPECT_EQ(file.metadata.at("arch"), "resnet50");
  EXPECT_EQ(file.metadata.at("best"), "42.5");
  EXPECT_EQ(file.metadata.at("done"), "True");
  EXPECT_EQ(file.metadata.at("nothing"), "None");
  EXPECT_EQ(file.metadata.at("rates.1"), "0.25");
  EXPECT_EQ(file.metadata.at("optimizer.param_groups.0.lr"), "0.03");
}
INSTANTIATE_TEST_SUITE_P(Forms, PthCheckpoint,
                         ::testing::Values("files/checkpoint.pth.tar",
                                           "files/checkpoint_plain.pth.tar"));

TEST(Pth, EveryTruncationIsAnError) {
  const TempFolder folder;
  for (const char* name : {"files/views.pth", "files/views_plain.pth"}) {
    const std::string whole = read_all(golden(name));
    for (std::size_t length = 0; length < whole.size(); ++length) {
      const auto path = folder.write("cut.pth", whole.substr(0, length));
      EXPECT_THROW(read_pth(path), Error) << name << length;
    }
  }
}

TEST(Pth, DamageIsNoticedOrHarmless) {
  const TempFolder folder;
  int refused = 0;
  for (const char* name : {"files/views.pth", "files/views_plain.pth"}) {
    const std::string whole = read_all(golden(name));
    for (std::size_t at = 0; at < whole.size(); ++at) {
      for (const unsigned flip : {0x01u, 0x80u}) {
        std::string damaged = whole;
        damaged[at] = static_cast<char>(static_cast<unsigned char>(damaged[at]) ^ flip);
        try {
          read_pth(folder.write("flip.pth", damaged));
        } catch (const Error&) {
          ++refused;
        }
      }
    }
  }
  EXPECT_GT(refused, 1000);
}

TEST(Pth, AFlippedElementFailsTheChecksum) {
  const TempFolder folder;
  std::string bytes = read_all(golden("files/views.pth"));
  const float element = static_cast<float>(ramp(17));  // of base, the first storage that has 24
  const auto at = bytes.find(std::string(reinterpret_cast<const char*>(&element), 4));
  ASSERT_NE(at, std::string::npos);
  bytes[at] = static_cast<char>(bytes[at] ^ 1);
  EXPECT_THAT(error_of([&] { read_pth(folder.write("flip.pth", bytes)); }), HasSubstr("CRC"));
}

TEST(Weights, AreToldApartByContent) {
  const TempFolder folder;
  for (const char* name : {"files/types.pth", "files/types_plain.pth", "files/types.safetensors"}) {
    const auto path = folder.write("weights.bin", read_all(golden(name)));
    EXPECT_EQ(load_weights(path).tensors.size(), 12u) << name;
  }
  const auto says = [&](std::string_view content) {
    return error_of([&] { load_weights(folder.write("weights.bin", content)); });
  };
  EXPECT_THAT(says(""), HasSubstr("empty"));
  EXPECT_THAT(says("<html>"), HasSubstr("web page"));
  EXPECT_THAT(says("\x89HDF\r\n\x1a\n"), HasSubstr("HDF5"));
  EXPECT_THAT(says("version https://git-lfs.github.com/spec/v1\n"), HasSubstr("git lfs pull"));
  EXPECT_THAT(says(std::string_view("\x80\x02]q\0(K\1K\2K\3e.", 13)), HasSubstr("pickle"));
  EXPECT_THAT(says("whatever else there may be"), HasSubstr("weights.bin"));
}

}  // namespace
}  // namespace invp
