#include "engine/files/safetensors.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "tests/engine/files/file_values.h"
#include "tests/support/temp_folder.h"

namespace invp {
namespace {

using ::testing::AllOf;
using testing::error_of;
using testing::golden;
using ::testing::HasSubstr;
using testing::read_all;
using testing::TempFolder;

std::string assemble(const std::string& header, std::size_t data_bytes) {
  std::string file;
  for (std::size_t i = 0; i < 8; ++i) file += static_cast<char>(header.size() >> (8 * i));
  return file + header + std::string(data_bytes, '\x01');
}

class Safetensors : public ::testing::Test {
 protected:
  TempFolder folder;
  std::string error_of_header(const std::string& header, std::size_t data_bytes) {
    const auto path = folder.write("bad.safetensors", assemble(header, data_bytes));
    const std::string error = error_of([&] { read_safetensors(path); });
    EXPECT_THAT(error, HasSubstr("bad.safetensors: at byte "));
    return error;
  }
};

TEST_F(Safetensors, ReadsEveryTypeThatTheReferenceLibraryWrites) {
  const TensorFile file = read_safetensors(golden("files/types.safetensors"));
  testing::expect_all_types([&](const char* name) { return file.find(name); });
  EXPECT_EQ(file.tensors.size(), 12u);
  EXPECT_EQ(file.metadata.at("made_by"), "make_files.py");
  EXPECT_EQ(file.metadata.at("note"), "\u00fc\u2713");
}

TEST_F(Safetensors, WritesWhatItReads) {
  std::vector<std::pair<std::string, Tensor>> tensors;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  tensors.emplace_back("bytes", Tensor::from(std::vector<std::uint8_t>{1, 2, 255}, {3}));
  tensors.emplace_back("a \"quoted\" \u00fc",
                       Tensor::from(std::vector<float>{1.5f, -0.0f, nan, 1e-42f}, {2, 2}));
  tensors.emplace_back(
      "long",
      Tensor::from(std::vector<std::int64_t>{-1, std::numeric_limits<std::int64_t>::min()}, {2}));
  tensors.emplace_back("half", Tensor::from(std::vector<BFloat16>{BFloat16(2.5f)}, {1, 1}));
  tensors.emplace_back("int", Tensor::from(std::vector<std::int32_t>{7}, {}));
  tensors.emplace_back("none", Tensor::empty({3, 0}));
  const auto path = folder / "a.safetensors";
  write_safetensors(path, tensors, {{"format", "pt"}, {"line", "a\nb"}});

  const TensorFile back = read_safetensors(path);
  EXPECT_EQ(back.metadata,
            (std::map<std::string, std::string>{{"format", "pt"}, {"line", "a\nb"}}));
  ASSERT_EQ(back.tensors.size(), tensors.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    EXPECT_EQ(back.tensors[i].first, tensors[i].first) << "the order is the writer's";
    const Tensor& wanted = tensors[i].second;
    const Tensor& got = back.tensors[i].second;
    ASSERT_EQ(got.shape(), wanted.shape());
    ASSERT_EQ(got.dtype(), wanted.dtype());
    EXPECT_EQ(std::memcmp(got.raw(), wanted.raw(), wanted.nbytes()), 0) << tensors[i].first;
  }
  for (const TensorEntry& entry : read_safetensors_header(path).entries) {
    EXPECT_EQ(entry.begin % size_of(entry.type), 0u) << entry.name << " is not aligned";
  }
  // Same tensors, same bytes.
  write_safetensors(folder / "b.safetensors", back);
  EXPECT_EQ(read_all(folder / "b.safetensors"), read_all(path));
}

TEST_F(Safetensors, RefusesToWriteANameTwice) {
  const std::vector<std::pair<std::string, Tensor>> twice = {{"w", Tensor::zeros({1})},
                                                             {"w", Tensor::zeros({1})}};
  EXPECT_THAT(error_of([&] { write_safetensors(folder / "x", twice); }),
              HasSubstr("\"w\" is given twice"));
  EXPECT_FALSE(std::filesystem::exists(folder / "x"));
}

TEST_F(Safetensors, AcceptsAnEmptyFileAndAPaddedHeader) {
  write_safetensors(folder / "empty", TensorFile{});
  EXPECT_TRUE(read_safetensors(folder / "empty").tensors.empty());
  const auto path = folder.write(
      "padded", assemble(R"({"w":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}    )", 2));
  EXPECT_EQ(read_safetensors(path).find("w")->numel(), 2);
}

struct Rule {
  const char* header;
  std::size_t data;
  const char* says;
};

TEST_F(Safetensors, HoldsFilesToEveryRule) {
  const Rule rules[] = {
      {R"({"w":{"dtype":"U8","shape":[2],"data_offsets":[0,2]})", 2, "not valid JSON"},
      {R"({"w":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}} x)", 2, "not valid JSON"},
      {R"({"w":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"w":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})",
       4, "\"w\" appears twice"},
      {R"({"w":{"dtype":"U8","dtype":"U8","shape":[2],"data_offsets":[0,2]}})", 2,
       "string where dtype"},
      {R"({"w":{"dtype":"U8","shape":[2],"shape":[2],"data_offsets":[0,2]}})", 2,
       "array where shape"},
      {R"({"w":{"dtype":"U8","shape":[2]}})", 2, "lacks data_offsets"},
      {R"({"w":{"dtype":"U8","data_offsets":[0,2]}})", 2, "lacks shape"},
      {R"({"w":{"shape":[2],"data_offsets":[0,2]}})", 2, "lacks dtype"},
      {R"({"w":{"dtype":"F8_E3M4","shape":[2],"data_offsets":[0,2]}})", 2, "of type F8_E3M4"},
      {R"({"w":{"dtype":3,"shape":[2],"data_offsets":[0,2]}})", 2, "number where dtype"},
      {R"({"w":{"dtype":"U8","shape":2,"data_offsets":[0,2]}})", 2, "number where shape"},
      {R"({"w":{"dtype":"U8","shape":[[2]],"data_offsets":[0,2]}})", 2, "array where shape"},
      {R"({"w":{"dtype":"U8","shape":[-2],"data_offsets":[0,2]}})", 2, "negative number"},
      {R"({"w":{"dtype":"U8","shape":[2.0],"data_offsets":[0,2]}})", 2, "no integer"},
      {R"({"w":{"dtype":"U8","shape":[99999999999999999999],"data_offsets":[0,2]}})", 2,
       "no integer"},
      {R"({"w":{"dtype":"U8","shape":[18446744073709551615],"data_offsets":[0,2]}})", 2,
       "out of range"},
      {R"({"w":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}})", 2, "do not fit its shape"},
      {R"({"w":{"dtype":"U8","shape":[2],"data_offsets":[0]}})", 2, "not two numbers"},
      {R"({"w":{"dtype":"U8","shape":[2],"data_offsets":[0,1,2]}})", 2, "not two numbers"},
      {R"({"w":{"dtype":"U8","shape":[2],"data_offsets":[2,0]}})", 2, "do not lie in"},
      {R"({"w":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}})", 2, "do not lie in"},
      {R"({"w":{"dtype":"U8","shape":[3],"data_offsets":[0,2]}})", 2, "do not fit its shape"},
      {R"({"w":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}})", 0,
       "do not fit its shape"},
      {R"({"w":{"dtype":"F32","shape":[4611686018427387904,4611686018427387904,0],"data_offsets":[0,0]}})",
       0, "do not fit its shape"},
      {R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
       3, "overlaps another"},
      {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}})",
       3, "leaves a hole"},
      {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})", 2, "leaves a hole"},
      {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 5,
       "4 bytes belong to no tensor"},
      {R"({"__metadata__":{"a":1}})", 0, "only strings"},
      {R"({"__metadata__":{"a":{"b":"c"}}})", 0, "only strings"},
      {R"({"__metadata__":{"a":["b"]}})", 0, "only strings"},
      {R"({"__metadata__":{"a":null}})", 0, "only strings"},
      {R"({"__metadata__":{},"__metadata__":{}})", 0, "appears twice"},
      {R"({"__metadata__":"text"})", 0, "an object was expected"},
      {R"({"w":[]})", 0, "an object was expected"},
      {R"({"w":true})", 0, "an object was expected"},
      {"{\"\xff\":{}}", 0, "not valid JSON"},
  };
  for (const Rule& rule : rules) {
    EXPECT_THAT(error_of_header(rule.header, rule.data), HasSubstr(rule.says)) << rule.header;
  }
}

TEST_F(Safetensors, AcceptsWhatTheReferenceAccepts) {
  const std::pair<const char*, std::size_t> accepted[] = {
      {R"( {"w":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}} )", 2},
      {R"({"w":{"dtype":"U8","extra":[{"deep":[1,null]},-1.5,true,"x"],"shape":[2],"data_offsets":[0,2]}})",
       2},
      {R"({"w":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,2],"data_offsets":[0,2]}})", 2},
      {R"({"w":{"dtype":"F4","shape":[4],"data_offsets":[0,2]}})", 2},
      {R"({"w":{"dtype":"F6_E2M3","shape":[4],"data_offsets":[0,3]}})", 3},
      {R"({"w":{"dtype":"C64","shape":[],"data_offsets":[0,8]}})", 8},
      {R"({"e":{"dtype":"U8","shape":[0],"data_offsets":[2,2]},"w":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})",
       2},
      {R"({"__metadata__":null})", 0},
      {R"({"__metadata__":{"a":"1","a":"2"}})", 0},
      {R"({"":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]}})", 2},
      {"{}", 0},
  };
  for (const auto& [header, data] : accepted) {
    const auto path = folder.write("good.safetensors", assemble(header, data));
    EXPECT_NO_THROW(read_safetensors(path)) << header;
  }
}

TEST_F(Safetensors, RefusesLengthsThatDoNotFit) {
  const auto says = [&](const std::string& content) {
    return error_of([&] { read_safetensors(folder.write("bad.safetensors", content)); });
  };
  EXPECT_THAT(says(""), HasSubstr("too short"));
  EXPECT_THAT(says(std::string(8, '\0')), HasSubstr("does not fit the file"));
  EXPECT_THAT(says(std::string("\x09\0\0\0\0\0\0\0{}", 10)), HasSubstr("does not fit the file"));
  EXPECT_THAT(says(std::string(8, '\xff') + "{}"), HasSubstr("more than the 100000000 allowed"));
  EXPECT_THAT(error_of([&] { read_safetensors(folder / "none"); }),
              AllOf(HasSubstr("none"), HasSubstr("No such file")));
  EXPECT_THAT(error_of([&] { read_safetensors(folder.path()); }), HasSubstr("is a folder"));
}

// The same bytes in pieces as at once; and nothing at all where they are not as many as announced.
TEST_F(Safetensors, AreWrittenInPieces) {
  const std::vector<std::pair<std::string, Tensor>> tensors = {
      {"a", Tensor::from(std::vector<float>{1, 2, 3, 4, 5}, {5})},
      {"b", Tensor::from(std::vector<std::int64_t>{6, 7}, {2})},
      {"none", Tensor::empty({0, 3})}};
  write_safetensors(folder / "whole", tensors, {{"note", "x"}});
  const auto write = [&](const char* name, std::size_t left_out) {
    write_safetensors_by_pieces(
        folder / name, stored_tensors(tensors), {{"note", "x"}},
        [&](std::size_t i, const AppendElements& append) {
          const Tensor& tensor = tensors[i].second;
          const std::span bytes(static_cast<const std::byte*>(tensor.raw()), tensor.nbytes());
          for (std::size_t at = 0; at + left_out < bytes.size(); at += 3)
            append(bytes.subspan(at, std::min<std::size_t>(3, bytes.size() - left_out - at)));
        });
  };
  write("pieces", 0);
  EXPECT_EQ(read_all(folder / "pieces"), read_all(folder / "whole"));
  EXPECT_THAT(error_of([&] { write("short", 1); }), HasSubstr("bytes, and "));
  EXPECT_FALSE(std::filesystem::exists(folder / "short"));
}

TEST_F(Safetensors, DeepNestingIsRefusedAtOnce) {
  EXPECT_THAT(error_of_header("{\"w\":" + std::string(1'000'000, '['), 0),
              HasSubstr("an object was expected"));
}

TEST_F(Safetensors, EveryTruncationIsAnError) {
  const std::string whole = read_all(golden("files/types.safetensors"));
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const auto path = folder.write("cut.safetensors", whole.substr(0, length));
    EXPECT_THROW(read_safetensors(path), Error) << length;
  }
}

TEST_F(Safetensors, DamagedHeadersAreReadOrRefusedButNeverTrusted) {
  const std::string whole = read_all(golden("files/types.safetensors"));
  const std::size_t header =
      read_safetensors_header(golden("files/types.safetensors")).entries.front().begin;
  int refused = 0;
  for (std::size_t at = 0; at < std::min(header, whole.size()); ++at) {
    for (const unsigned flip : {0x01u, 0x20u, 0x80u}) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(static_cast<unsigned char>(damaged[at]) ^ flip);
      try {
        const TensorFile file = read_safetensors(folder.write("flip.safetensors", damaged));
        std::size_t bytes = 0;
        for (const auto& [name, tensor] : file.tensors) bytes += tensor.nbytes();
        EXPECT_LT(bytes, 8 * whole.size());
      } catch (const Error&) {
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace invp
