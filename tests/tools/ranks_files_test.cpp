// Which of several ranks writes below the run folder, and what happens when its disk is full.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "engine/comm/mpi_launcher.h"
#include "tests/support/ranks.h"
#include "tests/tools/program.h"

namespace invp::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

const std::string kPretrain =
    " pretrain --format synthetic --synthetic-train 67 --synthetic-val 40 --synthetic-size 16 "
    "--synthetic-classes 4 --image-size 16 --batch-size 16 --lr 0.02 --seed 3 --workers 1 "
    "--device cpu --arch resnet18-cifar --width 4 --dim 8 --augment cifar --background 8 "
    "--hard-positives 2 --warm-epochs 1 --knn-k 5 --threads 1 --save-every 1 --bn-groups 2 ";

/// A command that gives what follows it mounts of its own; empty where that is not allowed.
std::string own_mounts() {
  const std::string command = geteuid() == 0 ? "unshare -m" : "unshare -Urm";
  const std::string trial = command + " mount -t tmpfs none /tmp 2>/dev/null";
  return std::system(trial.c_str()) == 0 ? command : "";
}

class RanksFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = why_no_ranks(); !why.empty()) GTEST_SKIP() << why;
    if (own_mounts().empty()) GTEST_SKIP() << "no mounts of one's own are allowed here";
  }
  /// A script that is run with `words`; its exit code, and what all of it said.
  Outcome run(const std::string& script, const std::string& words = "") const {
    const std::string file = scratch_ / "script.sh";
    std::ofstream(file) << script;
    const std::string said = scratch_ / "said";
    const std::string command =
        own_mounts() + " sh " + file + " " + words + " >" + said + " 2>&1 </dev/null";
    const int status = std::system(command.c_str());
    return {exit_code(status), read_all(said), ""};
  }
  std::string path(std::string_view name) const { return scratch_ / name; }

 private:
  Scratch scratch_;
};

// Rank 0 alone has room for some checkpoints, and then for no more.
TEST_F(RanksFiles, AFullDiskEndsAllRanksAndLeavesTheLastCheckpointWhole) {
  const std::string disk = path("disk"), last = disk + "/run/checkpoints/last.safetensors";
  fs::create_directory(disk);
  const Outcome outcome =
      run("mount -t tmpfs -o size=1m none " + disk + "\n" + program() + kPretrain +
          "--epochs 200 --ranks 2 --out " + disk + "/run\necho \"ended with $?\"\n" + program() +
          " checkpoint verify " + last + " && echo whole\nls " + disk + "/run/checkpoints\n");
  EXPECT_THAT(outcome.out, HasSubstr("ended with 1\n"));
  EXPECT_THAT(outcome.out, ::testing::ContainsRegex(
                               "invp pretrain: [^\n]*/run/[^\n]*: cannot be written \\(No space "
                               "left on device, of [0-9]+ bytes\\); free space on that disk"));
  EXPECT_THAT(outcome.out, HasSubstr("whole\n"));
  EXPECT_THAT(outcome.out, HasSubstr("epoch-0001.safetensors\n")) << "some were written before";
}

// The folder is read-only for rank 1, which tries whether it is.
TEST_F(RanksFiles, OnlyRank0Writes) {
  const std::string folder = path("two"), tried = path("tried");
  fs::create_directory(folder);
  const std::string rank_script = path("rank.sh");
  std::ofstream(rank_script) << "if [ \"${OMPI_COMM_WORLD_RANK:-$PMI_RANK}\" != 0 ]; then\n"
                             << "  exec unshare -m sh -c 'mount --bind \"$0\" \"$0\" && mount -o "
                                "remount,bind,ro \"$0\" && { touch \"$0/x\" 2>/dev/null || echo "
                                "read-only >"
                             << tried << "; } && exec \"$@\"' " << folder << " \"$@\"\nfi\n"
                             << "exec \"$@\"\n";
  std::string mpirun;
  for (const std::string& variable : mpi_variables()) mpirun += "export " + variable + "\n";
  for (const std::string& word : mpi_command(2, std::getenv("PATH"))) mpirun += word + " ";
  const std::string work = program() + kPretrain + "--epochs 2 --save-steps 2 --rank-logs --out ";
  const Outcome two = run(mpirun + "sh " + rank_script + " " + work + folder + "\n");
  ASSERT_EQ(two.code, 0) << two.out;
  EXPECT_EQ(read_all(tried), "read-only\n");
  EXPECT_FALSE(fs::exists(folder + "/x"));
  const std::string one = path("one");
  ASSERT_EQ(run(work + one + "\n").code, 0);
  for (const auto& entry : fs::recursive_directory_iterator(one)) {
    const std::string name = fs::relative(entry.path(), one);
    if (name.find("events.out.") != std::string::npos) continue;  // has the time in it
    EXPECT_TRUE(fs::exists(folder + "/" + name)) << name;
  }
  const std::string last = "/checkpoints/last.safetensors";
  EXPECT_TRUE(read_all(folder + last) == read_all(one + last));
}

// Two commands under one mpirun: each time the second is another.
TEST_F(RanksFiles, OtherOptionsOrDataOnOneRankAreRefused) {
  struct Case {
    const char* other;
    const char* why;
  };
  for (const auto& [other, why] :
       {Case{"--lr 0.03", "lr is 0.03, rank 0's is 0.02"}, Case{"--seed 4", "seed is 4"},
        Case{"--threads 2", "threads is 2"}, Case{"--synthetic-train 66", "rank 1 ("}}) {
    const std::string work = program() + kPretrain + "--epochs 2 --out " + path("refused") + " ";
    std::string mpirun;
    for (const std::string& variable : mpi_variables()) mpirun += "export " + variable + "\n";
    for (const std::string& word : mpi_command(1, std::getenv("PATH"))) mpirun += word + " ";
    const Outcome outcome = run(mpirun + work + ": -n 1 " + work + other + "\n");
    EXPECT_EQ(outcome.code, 2) << outcome.out;
    EXPECT_THAT(outcome.out, HasSubstr("invp pretrain: rank 1 ("));
    EXPECT_THAT(outcome.out, HasSubstr(why));
    EXPECT_FALSE(fs::exists(path("refused")));
  }
}

// What metrics.jsonl says, digit for digit, of losses and of images.
TEST_F(RanksFiles, MetricsAreThoseOfOneProcess) {
  const auto metrics = [&](const std::string& name, const std::string& more) {
    const Outcome outcome = run(program() + kPretrain + "--epochs 2 --out " + path(name) + more);
    EXPECT_EQ(outcome.code, 0) << outcome.out;
    std::vector<nlohmann::json> lines;
    std::istringstream text(read_all(path(name) + "/metrics.jsonl"));
    for (std::string line; std::getline(text, line);) {
      lines.push_back(nlohmann::json::parse(line));
      for (const char* const time : {"seconds", "images_per_second", "data_wait"})
        lines.back().erase(time);
      lines.back().erase("peak_memory_bytes");
    }
    return lines;
  };
  const auto one = metrics("one", "");
  EXPECT_GE(one.size(), 2U);
  EXPECT_EQ(one, metrics("two", " --ranks 2"));
}

}  // namespace
}  // namespace invp::testing
