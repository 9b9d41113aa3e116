// Holds README's "Adding an operation" true: every operation of the engine has the files that the
// recipe lists, in the same places.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <string>
#include <vector>

namespace invp {
namespace {

namespace fs = std::filesystem;

const fs::path kRoot = INVP_SOURCE_DIR;
const std::string kExample = "gelu";
const std::string kFamily = "engine/ops/basic";

std::string read(const fs::path& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// The file that each numbered line of the recipe begins with.
std::vector<std::string> listed_files() {
  const std::string readme = read(kRoot / "README.md");
  const std::size_t begin = readme.find("## Adding an operation");
  const std::string recipe = readme.substr(begin, readme.find("\n## ", begin) - begin);
  const std::regex line(R"(\n\d+\. `([^`]+)`)");
  std::vector<std::string> files;
  for (std::sregex_iterator i(recipe.begin(), recipe.end(), line), end; i != end; ++i)
    files.push_back((*i)[1]);
  return files;
}

struct Operation {
  std::string folder;  ///< from the root
  std::string name;
  std::string test;  ///< the name of its test file, without _test.cpp
};

/// Every invp_op(NAME) and invp_op(NAME TEST OTHER) below engine/ops.
std::vector<Operation> operations() {
  const std::regex call(R"((?:^|\n)invp_op\((\w+)(?: TEST ([^)]+))?\))");
  std::vector<Operation> all;
  for (const fs::directory_entry& entry : fs::directory_iterator(kRoot / "engine/ops")) {
    const std::string text = read(entry.path() / "CMakeLists.txt");
    const std::string folder = fs::relative(entry.path(), kRoot).string();
    for (std::sregex_iterator i(text.begin(), text.end(), call), end; i != end; ++i)
      all.push_back({folder, (*i)[1], (*i)[2].matched ? (*i)[2] : (*i)[1]});
  }
  return all;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

/// The recipe's file, as it is called for another operation.
std::string file_of(const Operation& operation, const std::string& listed) {
  const bool is_test = listed.starts_with("tests/");
  const std::string in_family = replaced(listed, kFamily, operation.folder);
  const fs::path file = replaced(in_family, kExample, is_test ? operation.test : operation.name);
  return file.lexically_normal().string();  // a test of another folder: TEST ../../..
}

bool exists(const std::string& file) {
  // A kernel file that only calls a library is plain C++.
  const bool kernels = file.ends_with("_cuda.cu");
  return fs::exists(kRoot / file) ||
         (kernels && fs::exists(kRoot / replaced(file, "_cuda.cu", "_cuda.cpp")));
}

TEST(Recipe, EveryOperationHasTheFilesItLists) {
  const std::vector<std::string> files = listed_files();
  ASSERT_EQ(files.size(), 7U);
  const std::vector<Operation> all = operations();
  ASSERT_GT(all.size(), 15U);
  for (const Operation& operation : all) {
    for (const std::string& listed : files) {
      const std::string file = file_of(operation, listed);
      EXPECT_TRUE(exists(file)) << file << ", of invp_op(" << operation.name << ")";
    }
  }
}

TEST(Recipe, ItsExampleHasAPlace) {
  EXPECT_TRUE(fs::is_directory(kRoot / kFamily));
  const std::vector<std::string> files = listed_files();
  EXPECT_EQ(std::ranges::count_if(
                files, [](const std::string& file) { return file.find(kExample) != file.npos; }),
            5);
  const std::string readme = read(kRoot / "README.md");
  EXPECT_NE(readme.find("`invp_op(" + kExample + ")`"), std::string::npos);
}

// The headers that the recipe sends its reader to.
TEST(Recipe, TheHeadersItNamesAreThere) {
  const std::string readme = read(kRoot / "README.md");
  for (const char* file : {"engine/core/elementwise_cpu.h", "engine/core/elementwise_cuda.cuh",
                           "engine/ops/basic/elementwise.h"}) {
    EXPECT_NE(readme.find(file), std::string::npos) << file;
    EXPECT_TRUE(fs::exists(kRoot / file)) << file;
  }
}

}  // namespace
}  // namespace invp
