// Every call by which a command writes goes wrong once, in every way that the system knows
// (shim.cpp). After a kill or a power loss the command is run again; the whole folder must then be
// that of a run that nothing happened to.
//
// A test of `scripts/test` takes a few of these experiments per command. INVP_TORTURE=N takes N,
// spread evenly, or all where there are fewer, and tells how far it is; scripts/torture sets it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/ranks.h"
#include "tests/tools/devkit.h"
#include "tests/tools/program.h"

namespace invp::testing {
namespace {

namespace fs = std::filesystem;

constexpr std::array kCalls = {"open", "write", "fsync", "rename", "link"};

struct Kind {
  const char* name;
  bool kills;      ///< the process ends at the call
  bool harmless;   ///< the command must end as if nothing had happened
  bool of_writes;  ///< of no other call
};
constexpr std::array kKinds = {
    Kind{"kill-before", true, false, false}, Kind{"kill-after", true, false, false},
    Kind{"half", true, false, true},         Kind{"power", true, false, false},
    Kind{"enospc", false, false, false},     Kind{"eio", false, false, false},
    Kind{"eintr", false, true, false},       Kind{"short", false, true, true}};

struct Job {
  std::string name;
  std::string arguments;   ///< OUT: the folder that it writes to; IN: that of what it reads
  std::string again = {};  ///< added when it is run again
  bool ranks = false;      ///< several processes, of which rank 0 meets the fault
};
void PrintTo(const Job& job, std::ostream* out) {
  *out << job.name;
}

struct Experiment {
  std::string call;
  long at;
  Kind kind;
};

constexpr const char* kSet =
    " --format synthetic --synthetic-train 32 --synthetic-val 8 --synthetic-size 16 "
    "--synthetic-classes 4 --image-size 16 --threads 1 --workers 1 --seed 3 ";
constexpr const char* kPretrain =
    "--arch resnet18-cifar --width 2 --dim 8 --augment cifar --epochs 2 --batch-size 16 "
    "--background 16 --hard-positives 4 --warm-epochs 1 --knn-k 5 --save-steps 1 --save-every 1 ";

std::string with_folders(std::string text, const std::string& out, const std::string& in) {
  for (const auto& [word, folder] : {std::pair{"OUT", out}, {"IN", in}}) {
    for (std::size_t at = 0; (at = text.find(word, at)) != std::string::npos; at += folder.size())
      text.replace(at, std::string_view(word).size(), folder);
  }
  return text;
}

/// Without what depends on the time: these fields tell how fast a run was.
std::string without_times(const std::string& metrics) {
  std::string text;
  std::istringstream lines(metrics);
  for (std::string line; std::getline(lines, line);) {
    auto object = nlohmann::ordered_json::parse(line, nullptr, false);
    if (object.is_object()) {
      for (const char* key : {"seconds", "images_per_second", "data_wait", "peak_memory_bytes"})
        object.erase(key);
    }
    text += object.dump() + '\n';
  }
  return text;
}

/// All files below a folder with their content, but for what tells of the time itself: not the log
/// and TensorBoard's events (a file for each process), and of a run's page and curves, which show
/// seconds and peak memory, only that they are there. And not what ranks that have lost each other
/// say of it.
std::map<std::string, std::string> files_in(const std::string& folder) {
  std::map<std::string, std::string> files;
  if (!fs::exists(folder)) return files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    const std::string name = entry.path().filename();
    std::string content = read_all(entry.path());
    if (entry.path().parent_path().filename() == "ranks") continue;
    if (name == "log.txt" || name.starts_with("events.out.tfevents.")) continue;
    if (name == "metrics.jsonl") content = without_times(content);
    const bool of_a_run = fs::exists(entry.path().parent_path() / "metrics.jsonl");
    if (of_a_run && (name == "report.html" || name == "curves.svg")) content = "is there";
    files[fs::relative(entry.path(), folder)] = std::move(content);
  }
  return files;
}

/// What is other in two folders, in words; empty if nothing is.
std::string difference(const std::map<std::string, std::string>& expected,
                       const std::map<std::string, std::string>& found) {
  std::string text;
  for (const auto& [name, content] : expected) {
    const auto other = found.find(name);
    if (other == found.end())
      text += name + " is missing; ";
    else if (other->second != content)
      text += name + " has other bytes; ";
  }
  for (const auto& [name, content] : found) {
    if (!expected.contains(name)) text += name + " is left over; ";
  }
  return text;
}

class Faults : public ::testing::TestWithParam<Job> {
 protected:
  void SetUp() override {
    if (const std::string why = why_no_ranks(); GetParam().ranks && !why.empty())
      GTEST_SKIP() << why;
    prepare("data synthesize --train 12 --val 4 --size 24 --classes 2 " + in() + "/pictures");
    prepare("pretrain" + std::string(kSet) + kPretrain + "--out " + in() + "/run");
    write_devkit(in() + "/devkit", 6, 2);
    spoil_a_picture();
  }
  /// Makes IN/spoiled of IN/pictures: one is broken, and left out by who trains on them.
  void spoil_a_picture() const {
    const std::string folder = in() + "/spoiled";
    fs::copy(in() + "/pictures", folder, fs::copy_options::recursive);
    for (const auto& entry : fs::recursive_directory_iterator(folder + "/train")) {
      if (!entry.is_regular_file()) continue;
      std::ofstream(entry.path()) << "no picture";
      return;
    }
  }
  static void prepare(const std::string& arguments) {
    const Outcome outcome = run_invp(arguments);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
  }
  std::string in() const { return scratch_ / "in"; }
  std::string out() const { return scratch_ / "out"; }
  void empty_out() const {
    fs::remove_all(out());
    fs::create_directory(out());
  }
  Outcome run(const std::string& more, const std::string& environment) const {
    return run_invp(with_folders(GetParam().arguments + more, out(), in()),
                    "timeout 300 env LD_PRELOAD=" + shell_word(INVP_FAULT_SHIM) +
                        " INVP_FAULT_FOLDER=" + out() +
                        (GetParam().ranks ? " INVP_FAULT_RANK=0 " : " ") + environment);
  }

  /// How often each call is made.
  std::map<std::string, long> counts() const {
    const std::string file = scratch_ / "counts";
    empty_out();
    const Outcome outcome = run("", "INVP_FAULT_COUNTS=" + file);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    std::map<std::string, long> counts;
    std::ifstream words(file);
    std::string call;
    for (long count = 0; words >> call >> count;) counts[call] = count;
    return counts;
  }

  static std::vector<Experiment> experiments(const std::map<std::string, long>& counts) {
    std::vector<Experiment> all;
    for (const Kind& kind : kKinds) {
      for (const char* call : kCalls) {
        if (kind.of_writes && std::string_view(call) != "write") continue;
        for (long at = 1; at <= counts.at(call); ++at) all.push_back({call, at, kind});
      }
    }
    return all;
  }
  /// As many as are wanted here, spread evenly.
  static std::vector<Experiment> chosen(const std::vector<Experiment>& all) {
    const char* const told = std::getenv("INVP_TORTURE");
    const std::size_t wanted = std::min(all.size(), told != nullptr ? std::stoul(told) : 10UL);
    std::vector<Experiment> some;
    for (std::size_t i = 0; i < wanted; ++i)
      some.push_back(all[(2 * i + 1) * all.size() / (2 * wanted)]);
    return some;
  }

  void perform(const Experiment& now, const std::map<std::string, std::string>& expected) const {
    SCOPED_TRACE(now.call + ' ' + std::to_string(now.at) + ' ' + now.kind.name);
    empty_out();
    const Outcome hit = run(
        "", "INVP_FAULT='" + now.call + ' ' + std::to_string(now.at) + ' ' + now.kind.name + "'");
    if (now.kind.kills) {
      EXPECT_EQ(hit.code, GetParam().ranks ? 1 : 128 + SIGKILL) << hit.err;
    } else if (now.kind.harmless) {
      EXPECT_EQ(hit.code, 0) << hit.err;
      EXPECT_EQ(difference(expected, files_in(out())), "");
      return;
    } else {
      EXPECT_TRUE(hit.code == 0 || hit.code == 1) << hit.code << ' ' << hit.err;
      if (hit.code == 1) {
        EXPECT_THAT(hit.err, ::testing::HasSubstr("invp "));
      }
    }
    // What is there under its own name is whole.
    if (GetParam().again.empty()) {
      for (const auto& [name, content] : files_in(out())) {
        if (name.ends_with(".partial")) continue;
        EXPECT_TRUE(expected.contains(name) && expected.at(name) == content) << name << " is torn";
      }
    }
    const Outcome end = run(GetParam().again, "");
    EXPECT_EQ(end.code, 0) << end.err;
    EXPECT_EQ(difference(expected, files_in(out())), "");
  }

 private:
  Scratch scratch_;
};

TEST_P(Faults, LeaveTheFilesOfAWholeRun) {
  const std::map<std::string, long> calls = counts();
  ASSERT_EQ(calls.size(), kCalls.size());
  EXPECT_GT(calls.at("write"), 0);
  EXPECT_GT(calls.at("fsync"), 1) << "the file and its folder";
  EXPECT_GT(calls.at("rename"), 0);
  const std::map<std::string, std::string> expected = files_in(out());
  const std::vector<Experiment> all = experiments(calls);
  const std::vector<Experiment> now = chosen(all);
  for (std::size_t i = 0; i < now.size(); ++i) {
    perform(now[i], expected);
    if (::testing::Test::HasFatalFailure()) return;
    std::printf("%zu of %zu\n", i + 1, now.size()), std::fflush(stdout);
  }
  std::printf("%s: %zu of %zu experiments\n", GetParam().name.c_str(), now.size(), all.size());
}

INSTANTIATE_TEST_SUITE_P(
    Commands, Faults,
    ::testing::Values(
        Job{.name = "pretrain",
            .arguments = "pretrain" + std::string(kSet) + kPretrain + "--out OUT/run",
            .again = " --resume auto"},
        Job{.name = "pretrain_ranks",
            .arguments = "pretrain" + std::string(kSet) + kPretrain +
                         "--device cpu --bn-groups 2 --ranks 2 --out OUT/run",
            .again = " --resume auto",
            .ranks = true},
        Job{.name = "linear",
            .arguments = "linear" + std::string(kSet) +
                         "--augment linear-cifar --taps 1,9 --milestones 2 --lr 1 --epochs 2 "
                         "--batch-size 16 --save-every 1 --checkpoint "
                         "IN/run/checkpoints/last.safetensors --out OUT/run",
            .again = " --resume auto"},
        Job{.name = "finetune",
            .arguments = "finetune --data IN/spoiled --max-bad-share 0.5 --image-size 16 "
                         "--threads 1 --workers 1 --seed 3 --protocol transfer --save-steps 1 "
                         "--milestones 2 --epochs 2 --batch-size 6 --checkpoint "
                         "IN/run/checkpoints/last.safetensors --out OUT/run",
            .again = " --resume auto"},
        Job{.name = "detect",
            .arguments = "detect train --data IN/devkit" + std::string(kTinyDetector) +
                         "--out OUT/run",
            .again = " --resume auto"},
        Job{.name = "pack",
            .arguments = "data pack --data IN/pictures --split all --to OUT --threads 1"},
        Job{.name = "extract",
            .arguments = "extract" + std::string(kSet) +
                         "--checkpoint IN/run/checkpoints/last.safetensors --to OUT/f.safetensors"},
        Job{.name = "convert",
            .arguments = "convert IN/run/checkpoints/last.safetensors --to OUT/w.pth"},
        Job{.name = "export",
            .arguments = "convert IN/run/checkpoints/last.safetensors --to OUT/w.safetensors"},
        Job{.name = "report", .arguments = "report IN/run --to OUT/page.html"}),
    [](const auto& job) { return job.param.name; });

}  // namespace
}  // namespace invp::testing
