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
  PickleInput input(std::as_bytes(std::span(bytes)), "p.pkl");
  return read_pickle(input);
}
std::string refusal(const std::string& bytes) {
  return error_of([&] { read(bytes); });
}
PthTensors found_in(const std::string& bytes) {
  const Pickle pickle = read(bytes);
  return find_tensors(*pickle.root, "p.pkl", 1 << 20);
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
  EXPECT_TRUE(read("c_codecs\nencode\nX\x01\x00\x00\x00"
                   "aU\x05rot13\x86R."s)
                  .root->is_call("_codecs.encode"));
  EXPECT_TRUE(read("c__builtin__\nbytes\n)R."s).root->is(Kind::kBytes));
  EXPECT_EQ(read("cbuiltins\nbytearray\nC\x02hi\x85R."s).root->text, "hi");
}

TEST(PickleReader, ReadsTheLinesOfProtocolZero) {
  EXPECT_EQ(read("I-12\n."s).root->integer, -12);
  EXPECT_TRUE(read("I01\n."s).root->is(Kind::kBool));
  EXPECT_EQ(read("I01\n."s).root->integer, 1);
  EXPECT_EQ(read("L123456789012L\n."s).root->integer, 123456789012);
  EXPECT_TRUE(read("L123456789012345678901234567890L\n."s).root->is(Kind::kOpaque));
  EXPECT_EQ(read("F1.5\n."s).root->real, 1.5);
  EXPECT_EQ(read("S'a\\n\\x41\\'\\\\'\n."s).root->text, "a\nA'\\");
  EXPECT_EQ(read("V\xe9\\u20ac\\U0001f600\n."s).root->text, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
  // {'a': [1, 2]} as Python wrote it, with the list remembered and recalled
  const Pickle pickle = read("(dp0\nS'a'\np1\n(lp2\nI1\naI2\nasS'b'\ng2\ns."s);
  ASSERT_NE(pickle.root->get("a"), nullptr);
  EXPECT_EQ(pickle.root->get("a")->items.size(), 2u);
  EXPECT_EQ(pickle.root->get("a"), pickle.root->get("b"));
  for (const char* damaged : {"Ix\n.", "I1", "Fx\n.", "S'a\n.", "S'\\q'\n.", "V\\u12\n.", "L1x\n."})
    EXPECT_THAT(refusal(damaged), HasSubstr("p.pkl: at byte ")) << damaged;
}

TEST(PickleReader, NotesCallsAndRunsNone) {
  const std::pair<std::string, const char*> calls[] = {
      {"cos\nsystem\nU\x02id\x85R."s, "os.system"},
      {"c__builtin__\neval\nU\x02id\x85R."s, "__builtin__.eval"},
      {"\x8c\x02os\x8c\x06system\x93U\x02id\x85R."s, "os.system"},
      {"cargparse\nNamespace\n)\x81}b."s, "argparse.Namespace"},
      {"(U\x02idios\nsystem\n."s, "os.system"},
      {"(cos\nsystem\nU\x02ido."s, "os.system"},
      {"cdatetime\ndate\n)}\x92."s, "datetime.date"},
      {"ccollections\ndefaultdict\nctorch\nSize\n\x85RU\x01kK\x01s."s, "collections.defaultdict"},
      {"ccollections\ndeque\n)R(K\x01K\x02"
       "e."s,
       "collections.deque"},
  };
  for (const auto& [bytes, name] : calls) EXPECT_TRUE(read(bytes).root->is_call(name)) << name;
  // What no call makes either: a call's result called, sets, extensions, buffers beside the pickle.
  EXPECT_TRUE(read("cbuiltins\ngetattr\n)R)R."s).root->is_call(""));
  for (const std::string& bytes :
       {"\x8f(K\x01K\x02\x90."s, "(K\x01\x91."s, "\x82\x01."s, "\x97\x98."s,
        "\x8a\x09\x01\x01\x01\x01\x01\x01\x01\x01\x01."s}) {
    EXPECT_TRUE(read(bytes).root->is(Kind::kOpaque));
  }
  EXPECT_TRUE(read("Pid\n."s).root->is(Kind::kPersistent));
  const Pickle dict = read("ccollections\ndefaultdict\n)RU\x01kK\x07s."s);
  EXPECT_EQ(dict.root->get("k")->integer, 7);
}

TEST(PickleReader, RefusesWhatDoesNotFit) {
  const std::pair<std::string, const char*> broken[] = {
      {"."s, "exactly one value"},
      {"NN."s, "exactly one value"},
      {"(N."s, "exactly one value"},
      {"0."s, "not there"},
      {"(o."s, "class of an object"},
      {"\x96\xff\xff\xff\xff\xff\xff\xff\xff."s, "ends in the middle"},
      {"e."s, "not opened"},
      {"K\x01K\x02"
       "a."s,
       "list to append"},
      {"}(K\x01u."s, "without a value"},
      {"ccollections\nOrderedDict\nK\x01R."s, "arguments of a call"},
      {"h\x03."s, "never kept"},
      {"\x80\x06N."s, "protocol 6"},
      {"\xff."s, "opcode 255"},
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

TEST(PthTree, FindsATensor) {
  const PthTensors file =
      found_in(kRebuild + "("s + storage(6) + "K\x00K\x02K\x03\x86K\x03K\x01\x86\x89NtR."s);
  ASSERT_EQ(file.tensors.size(), 1u);
  EXPECT_EQ(file.tensors[0].extents, (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(file.tensors[0].bytes, 24u);
}

TEST(PthTree, LeavesOutTensorsThatCannotBe) {
  const auto says = [](const std::string& view) {
    const PthTensors found = found_in(kRebuild + "("s + storage(6) + view + "\x89NtR."s);
    EXPECT_TRUE(found.tensors.empty());
    return found.left_out.empty() ? "" : found.left_out.front();
  };
  EXPECT_THAT(says("K\x01K\x02K\x03\x86K\x03K\x01\x86"s), HasSubstr("reaches beyond"));
  EXPECT_THAT(says("K\x00K\x02K\x04\x86K\x03K\x01\x86"s), HasSubstr("reaches beyond"));
  EXPECT_THAT(says("K\x00K\x02\x85\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x85"s),
              HasSubstr("reaches beyond"));
  EXPECT_THAT(says("J\xff\xff\xff\xffK\x02\x85K\x01\x85"s), HasSubstr("reaches beyond"));
  EXPECT_THAT(says("K\x00K\x02\x85J\xff\xff\xff\xff\x85"s), HasSubstr("no sense"));
  EXPECT_THAT(says("K\x00K\x02\x85K\x01K\x01\x86"s), HasSubstr("reaches beyond"));
  // 2^40 elements expanded from one
  EXPECT_THAT(says("K\x00\x8a\x06\x00\x00\x00\x00\x00\x01\x85K\x00\x85"s),
              HasSubstr("outgrows the file"));
  EXPECT_THAT(says("K\x00\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x40K\x08\x86K\x00K\x00\x86"s),
              HasSubstr("reaches beyond"));
}

TEST(PthTree, PassesOverWhatIsNeitherTensorNorContainer) {
  for (const std::string& bytes : {"}U\x01"
                                   "actorch\nFloatStorage\ns."s,
                                   "}U\x01"
                                   "actorch\nFloatStorage\n)Rs."s,
                                   "}U\x01"
                                   "aC\x01xs."s,
                                   "}K\x01K\x02\x86K\x03s."s, "}N]s."s}) {
    const PthTensors found = found_in(bytes);
    EXPECT_TRUE(found.tensors.empty() && found.metadata.empty() && found.left_out.empty());
  }
  EXPECT_THAT(found_in(kRebuild + "(K\x01K\x00K\x01\x85K\x01\x85\x89NtR."s).left_out.front(),
              HasSubstr("storage is not described"));
  EXPECT_THAT(found_in("ctorch._utils\n_rebuild_sparse_tensor\n)R."s).left_out.front(),
              HasSubstr("_rebuild_sparse_tensor"));
}

TEST(PthTree, LooksIntoModulesAndDictionariesOfAnyClass) {
  const std::string tensor = kRebuild + "("s + storage(6) + "K\x00K\x06\x85K\x01\x85\x89NtR"s;
  const auto only = [](const PthTensors& found) {
    return found.tensors.size() == 1 ? found.tensors[0].name : "";
  };
  EXPECT_EQ(only(found_in("cyacs.config\nCfgNode\n)\x81U\x01w"s + tensor + "s."s)), "w");
  // A module that holds a module: state {"_parameters": {}, "_modules": {"a": {... "w"}}}.
  const std::string inner = "cmy\nLinear\n)\x81}U\x0b_parameters}U\x01w"s + tensor + "ssb"s;
  EXPECT_EQ(only(found_in("cmy\nNet\n)\x81}U\x08_modules}U\x01"
                          "a"s +
                          inner + "ssb."s)),
            "a.w");
  // Subclasses of Parameter and of Tensor hand on what they wrap.
  EXPECT_EQ(
      only(found_in("ctorch._utils\n_rebuild_parameter_with_state\n("s + tensor + "\x88}}tR."s)),
      "tensor");
  EXPECT_EQ(only(found_in("ctorch._tensor\n_rebuild_from_type_v2\n("s + kRebuild +
                          "cmy\nTensor\n("s + storage(6) + "K\x00K\x06\x85K\x01\x85\x89Nt}tR."s)),
            "tensor");
}

TEST(PthTree, StopsAtListsWithinThemselves) {
  EXPECT_TRUE(found_in("]q\x01h\x01"
                       "a."s)
                  .tensors.empty());
  // Each list holds the one before it twice: 2^40 leaves.
  std::string doubling =
      "]q\x00"
      "K\x01"
      "a"s;
  for (int i = 0; i < 40; ++i)
    doubling +=
        "0](h\x00h\x00"
        "eq\x00"s;
  EXPECT_THAT(error_of([&] { found_in(doubling + "."s); }), HasSubstr("p.pkl: at byte "));
}

TEST(PthTree, RefusesNamesWithoutEnd) {
  // A key of 3,000 letters, recalled for each of 2,000 dictionaries within each other, and flat.
  const std::string key = "X\xb8\x0b\x00\x00"s + std::string(3000, 'k') +
                          "q\x01"
                          "0"s;
  std::string nested = key + "}"s;
  for (int i = 0; i < 2000; ++i) nested += "h\x01}";
  nested += std::string(2000, 's') + ".";
  EXPECT_THAT(error_of([&] { found_in(nested); }), HasSubstr("names of 9001 bytes"));
  std::string flat = key + "](}(h\x01Nuq\x02";
  for (int i = 0; i < 30000; ++i) flat += "h\x02";
  EXPECT_THAT(error_of([&] { found_in(flat + "e."); }), HasSubstr("no checkpoint"));
}

}  // namespace
}  // namespace invp
