#include "engine/files/pickle.h"

#include <gmock/gmock.h>

#include <vector>

#include "engine/files/pth_tensors.h"
#include "tests/support/temp_folder.h"

namespace invp {
namespace {

using ::testing::AllOf;
using testing::error_of;
using ::testing::HasSubstr;
using Kind = PickleValue::Kind;
using namespace std::string_literals;

Pickle read(const std::string& bytes) {
  return read_pickle(std::as_bytes(std::span(bytes)), pth_globals(), "p.pkl");
}
std::string refusal(const std::string& bytes) {
  return error_of([&] { read(bytes); });
}
TensorFile flatten(const std::string& bytes) {
  const Pickle pickle = read(bytes);
  return flatten_pth(*pickle.root, "p.pkl", 1 << 20, [](const StorageReference& storage) {
    return Tensor::zeros({storage.count}, tensor_type(storage.type));
  });
}

TEST(PickleReader, ReadsScalars) {
  EXPECT_TRUE(read("\x80\x02N."s).root->is(Kind::kNone));
  EXPECT_EQ(read("\x80\x02\x88."s).root->integer, 1);
  EXPECT_EQ(read("K\xff."s).root->integer, 255);
  EXPECT_EQ(read("M\x01\x02."s).root->integer, 513);
  EXPECT_EQ(read("J\xfe\xff\xff\xff."s).root->integer, -2);
  EXPECT_EQ(read("\x8a\x00."s).root->integer, 0);
  EXPECT_EQ(read("\x8a\x01\xff."s).root->integer, -1);
  EXPECT_EQ(read("\x8a\x02\xff\x00."s).root->integer, 255);
  EXPECT_EQ(read("\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80."s).root->integer, INT64_MIN);
  EXPECT_EQ(read("G\x3f\xf8\x00\x00\x00\x00\x00\x00."s).root->real, 1.5);
  EXPECT_EQ(read("X\x02\x00\x00\x00hi."s).root->text, "hi");
  EXPECT_EQ(read("U\x03"s
                 "a\nb."s)
                .root->text,
            "a\nb");
}

TEST(PickleReader, ReadsContainersAndTheMemo) {
  // {"a": [1, 2], "b": (x, x)} with x = [1, 2] recalled
  const Pickle pickle = read(
      "}(U\x01"
      "a](K\x01K\x02"
      "eq\x05U\x01"
      "bh\x05h\x05\x86u."s);
  const PickleValue* a = pickle.root->get("a");
  const PickleValue* b = pickle.root->get("b");
  ASSERT_TRUE(a != nullptr && b != nullptr);
  ASSERT_EQ(a->items.size(), 2u);
  EXPECT_EQ(a->items[1]->integer, 2);
  ASSERT_EQ(b->items.size(), 2u);
  EXPECT_EQ(b->items[0], a);
  EXPECT_EQ(pickle.root->get("c"), nullptr);
}

TEST(PickleReader, UnderstandsOrderedDictAndLatin1) {
  const Pickle dict = read("ccollections\nOrderedDict\n)RU\x01kK\x07s}b."s);
  ASSERT_TRUE(dict.root->is(Kind::kDict));
  EXPECT_EQ(dict.root->get("k")->integer, 7);
  const Pickle bytes =
      read("c_codecs\nencode\nX\x04\x00\x00\x00\xc3\xbf\x41\x42U\x06latin1\x86R."s);
  ASSERT_TRUE(bytes.root->is(Kind::kBytes));
  EXPECT_EQ(bytes.root->text,
            "\xff"
            "AB");
  EXPECT_THAT(refusal("c_codecs\nencode\nX\x01\x00\x00\x00"
                      "aU\x05rot13\x86R."s),
              HasSubstr("_codecs.encode"));
}

TEST(PickleReader, RefusesEveryCallByName) {
  const std::pair<std::string, const char*> hostile[] = {
      {"cos\nsystem\nU\x02id\x85R."s, "\"os.system\""},
      {"cposix\nsystem\nU\x02id\x85R."s, "\"posix.system\""},
      {"c__builtin__\neval\nU\x02id\x85R."s, "\"__builtin__.eval\""},
      {"cbuiltins\nexec\nU\x02id\x85R."s, "\"builtins.exec\""},
      {"\x8c\x02os\x8c\x06system\x93U\x02id\x85R."s, "\"os.system\""},
      {"cargparse\nNamespace\n)\x81}b."s, "\"argparse.Namespace\""},
      {"ctorch.nn\nLinear\n)R."s, "\"torch.nn.Linear\""},
      {"ctorch.storage\n_load_from_bytes\nU\x01x\x85R."s, "torch.storage._load_from_bytes"},
      {"c\x1b[2Jos\nsystem\n."s, "\"?[2Jos.system\""},
      {"(U\x02idios\nsystem\n."s, "0x69 (INST)"},
      {"(cos\nsystem\no."s, "\"os.system\""},
      {"Pid\n."s, "0x50 (PERSID)"},
      {"\x82\x01."s, "0x82 (EXT1)"},
      {"I1\n."s, "0x49 (INT)"},
      {"\xff."s, "0xff (no opcode"},
  };
  for (const auto& [bytes, says] : hostile) {
    EXPECT_THAT(refusal(bytes), AllOf(HasSubstr("p.pkl: at byte "), HasSubstr(says)));
  }
  EXPECT_THAT(refusal("NNcos\nsystem\n."s), HasSubstr("at byte 2: "));
}

TEST(PickleReader, RefusesWhatDoesNotFit) {
  const std::pair<std::string, const char*> broken[] = {
      {"."s, "exactly one value"},
      {"NN."s, "exactly one value"},
      {"(N."s, "exactly one value"},
      {"0."s, "not there"},
      {"e."s, "not opened"},
      {"K\x01K\x02"
       "a."s,
       "list to append"},
      {"}(K\x01u."s, "without a value"},
      {"K\x01)R."s, "name of what it calls"},
      {"ccollections\nOrderedDict\nK\x01R."s, "arguments of a call"},
      {"K\x01}b."s, "takes none"},
      {"ctorch\nSize\n)RNbNb."s, "takes none"},
      {"h\x03."s, "never kept"},
      {"\x80\x01N."s, "protocol 1"},
      {"\x8a\x09\x01\x01\x01\x01\x01\x01\x01\x01\x01."s, "more than 64 bits"},
      {"X\xff\xff\xff\xff."s, "ends in the middle"},
      {"T\xff\xff\xff\xff."s, "ends in the middle"},
      {"\x8e\xff\xff\xff\xff\xff\xff\xff\xff."s, "ends in the middle"},
      {"cos"s, "ends in the middle"},
      {""s, "ends in the middle"},
      {std::string(1001, '(') + "."s, "nested"},
      {"("s + std::string(2'000'001, 'N') + "t."s, "more than 2000000 values"},
      {"N"
       "q\x01("s +
           [] {
             std::string s;
             for (int i = 0; i < 2'000'001; ++i) s += "h\x01";
             return s;
           }() +
           "t."s,
       "more than 2000000 values"},
  };
  for (const auto& [bytes, says] : broken) {
    EXPECT_THAT(refusal(bytes), AllOf(HasSubstr("p.pkl: at byte "), HasSubstr(says)));
  }
}

std::string repeated(const std::string& part, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += part;
  return all;
}

TEST(PickleReader, RefusesToGrowFromRecalledValues) {
  // A tuple of 10,000 handed to 2,000 calls; a text of 1,000 letters encoded again and again.
  const std::string calls = "("s + std::string(10'000, 'N') +
                            "tq\x01"
                            "ctorch\nSize\nq\x02(" +
                            repeated("h\x02h\x01R", 2000) + "t.";
  EXPECT_THAT(refusal(calls), HasSubstr("more than 16000000 entries"));
  const std::string codecs = "c_codecs\nencode\nq\x01X\xe8\x03\x00\x00"s + std::string(1000, 'x') +
                             "U\x06latin1\x86q\x02(" + repeated("h\x01h\x02R", 1000) + "t.";
  EXPECT_THAT(refusal(codecs), HasSubstr("more bytes than it has"));
}

TEST(PickleReader, EveryTruncationIsAnError) {
  const std::string whole =
      "\x80\x02}q\x01(U\x01"
      "a](K\x01M\x02\x02"
      "eX\x01\x00\x00\x00"
      "bG\x3f\xf8\x00\x00\x00\x00\x00\x00u."s;
  ASSERT_NO_THROW(read(whole));
  for (std::size_t length = 0; length < whole.size(); ++length) {
    EXPECT_THROW(read(whole.substr(0, length)), Error) << length;
  }
}

// --- the walk over a checkpoint's tree

const std::string kRebuild = "ctorch._utils\n_rebuild_tensor_v2\n"s;
std::string storage(char count) {
  return "(U\x07storagectorch\nFloatStorage\nU\x01"
         "0U\x03"
         "cpuK"s +
         count + "tQ";
}

TEST(PthTree, ReadsATensor) {
  const TensorFile file =
      flatten(kRebuild + "("s + storage(6) + "K\x00K\x02K\x03\x86K\x03K\x01\x86\x89NtR."s);
  ASSERT_EQ(file.tensors.size(), 1u);
  EXPECT_EQ(file.tensors[0].second.shape(), (Shape{2, 3}));
}

TEST(PthTree, RefusesTensorsThatReachBeyondTheirStorage) {
  const auto says = [](const std::string& view) {
    return error_of([&] { flatten(kRebuild + "("s + storage(6) + view + "\x89NtR."s); });
  };
  EXPECT_THAT(says("K\x01K\x02K\x03\x86K\x03K\x01\x86"s), HasSubstr("reaches beyond"));
  EXPECT_THAT(says("K\x00K\x02K\x04\x86K\x03K\x01\x86"s), HasSubstr("reaches beyond"));
  EXPECT_THAT(says("K\x00K\x02\x85\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x85"s),
              HasSubstr("reaches beyond"));
  EXPECT_THAT(says("J\xff\xff\xff\xffK\x02\x85K\x01\x85"s), HasSubstr("no sense"));
  EXPECT_THAT(says("K\x00K\x02\x85J\xff\xff\xff\xff\x85"s), HasSubstr("no count"));
  EXPECT_THAT(says("K\x00K\x02\x85K\x01K\x01\x86"s), HasSubstr("no sense"));
  EXPECT_THAT(
      says("K\x00(K\x01K\x01K\x01K\x01K\x01K\x01K\x01t(K\x01K\x01K\x01K\x01K\x01K\x01K\x01t"s),
      HasSubstr("7 dimensions"));
  // 2^40 elements expanded from one
  EXPECT_THAT(says("K\x00\x8a\x06\x00\x00\x00\x00\x00\x01\x85K\x00\x85"s),
              HasSubstr("outgrow the file"));
  EXPECT_THAT(says("K\x00\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x40K\x08\x86K\x00K\x00\x86"s),
              HasSubstr("no sense"));
}

TEST(PthTree, RefusesWhatIsNeitherTensorNorContainer) {
  EXPECT_THAT(error_of([] {
                flatten(
                    "}U\x01"
                    "actorch\nFloatStorage\ns."s);
              }),
              AllOf(HasSubstr("\"a\""), HasSubstr("torch.FloatStorage")));
  EXPECT_THAT(error_of([] {
                flatten(
                    "}U\x01"
                    "actorch\nFloatStorage\n)Rs."s);
              }),
              HasSubstr("torch.FloatStorage"));
  EXPECT_THAT(error_of([] {
                flatten(
                    "}U\x01"
                    "aC\x01xs."s);
              }),
              HasSubstr("raw bytes"));
  EXPECT_THAT(error_of([] { flatten(kRebuild + "(K\x01K\x00K\x01\x85K\x01\x85\x89NtR."s); }),
              HasSubstr("storage is not described"));
}

TEST(PthTree, StopsAtListsWithinThemselves) {
  EXPECT_THAT(error_of([] {
                flatten(
                    "]q\x01h\x01"
                    "a."s);
              }),
              HasSubstr("nested more than 64"));
  // Each list holds the one before it twice: 2^40 leaves.
  std::string doubling =
      "]q\x00"
      "K\x01"
      "a"s;
  for (int i = 0; i < 40; ++i)
    doubling +=
        "0](h\x00h\x00"
        "eq\x00"s;
  EXPECT_THAT(error_of([&] { flatten(doubling + "."s); }), HasSubstr("p.pkl: at byte "));
}

}  // namespace
}  // namespace invp
