// Stops and dead disks, from outside: every command that works for long, each at a moment that it
// does not choose. Reads that never return are made by tests/faults/blocked_read.cpp.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "engine/files/safetensors.h"
#include "tests/tools/devkit.h"
#include "tests/tools/program.h"

namespace invp::testing {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::HasSubstr;

/// 10 s and a step are promised; the rest is for machines that do much else.
constexpr auto kDeadline = 60s;

/// A started program.
class Started {
 public:
  Started(const std::string& arguments, const std::string& environment, const std::string& said) {
    const std::string line =
        environment + " exec " + program() + " " + arguments + " >" + said + " 2>&1";
    pid_ = fork();
    if (pid_ != 0) return;
    execl("/bin/sh", "sh", "-c", line.c_str(), nullptr);
    _exit(127);
  }
  ~Started() {
    if (code_ < 0) kill(pid_, SIGKILL), wait();
  }
  Started(const Started&) = delete;
  Started& operator=(const Started&) = delete;

  void signal(int number) const { kill(pid_, number); }
  bool ended() {
    int status = 0;
    if (code_ < 0 && waitpid(pid_, &status, WNOHANG) == pid_) code_ = exit_code(status);
    return code_ >= 0;
  }
  /// The exit code, or -1 if the program does not end in time.
  int code_within(std::chrono::seconds time) {
    for (const auto end = std::chrono::steady_clock::now() + time;
         !ended() && std::chrono::steady_clock::now() < end;)
      std::this_thread::sleep_for(5ms);
    return code_;
  }

 private:
  void wait() { waitpid(pid_, nullptr, 0); }

  pid_t pid_ = -1;
  int code_ = -1;
};

/// Without a person's idea of where a fault may strike: every kind of work with every kind of file
/// that it reads meanwhile.
struct Work {
  std::string name;
  std::string arguments;  ///< @ stands for the folder of the case's own files
  std::string file;       ///< part of the path of the file whose read blocks
  bool trains = false;
};

class Signals : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new Scratch;
    const auto make = [](const std::string& arguments) {
      const Outcome outcome = run_invp(arguments);
      ASSERT_EQ(outcome.code, 0) << outcome.err;
    };
    make("data synthesize " + set() + " --train 48 --val 16 --classes 4 --size 16 --threads 1");
    make("pretrain" + kTraining + kNetwork + data() + " --epochs 1 --out " + *folder_ / "base");
    make("extract --checkpoint " + checkpoint() + data() + " --to " + *folder_ / "f.safetensors");
    write_devkit(*folder_ / "devkit", 6, 3);
  }
  static void TearDownTestSuite() { delete folder_; }

  static std::string set() { return *folder_ / "set"; }
  static std::string data() { return " --data " + set() + " --workers 2 --threads 1"; }
  static std::string checkpoint() { return *folder_ / "base/checkpoints/last.safetensors"; }
  /// The picture of the set at this place of its folder.
  static std::string picture(const std::string& split, std::size_t at) {
    std::vector<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(set() + "/" + split)) {
      if (entry.is_regular_file()) names.push_back(entry.path().string());
    }
    std::ranges::sort(names);
    return names.at(at);
  }

  static std::string faulty(const std::string& fault, const std::string& file,
                            const std::string& mark, const std::string& times = "") {
    return "ASAN_OPTIONS=verify_asan_link_order=0 LD_PRELOAD=" + shell_word(INVP_BLOCKED_READ) +
           " INVP_FAULT=" + fault + " INVP_FAULT_FILE=" + shell_word(file) +
           " INVP_FAULT_MARK=" + mark + (times.empty() ? "" : " INVP_FAULT_TIMES=" + times);
  }

  /// Waits until the file is there.
  static void await(const std::string& file, Started& program) {
    while (!fs::exists(file) && !program.ended()) std::this_thread::sleep_for(2ms);
    ASSERT_TRUE(fs::exists(file)) << "the program ended before";
  }

  std::string own(const std::string& name) const { return scratch_ / name; }

  static inline const std::string kNetwork =
      " --arch resnet18-cifar --width 4 --dim 16 --hard-positives 8 --background 32 --knn-k 5 "
      "--warm-epochs 1";
  static inline const std::string kTraining =
      " --augment cifar --image-size 16 --batch-size 8 --seed 3 --save-steps 1";
  static inline Scratch* folder_ = nullptr;
  Scratch scratch_;
};

std::string with(std::string text, const std::string& folder) {
  for (std::size_t at = 0; (at = text.find('@')) != std::string::npos;) text.replace(at, 1, folder);
  return text;
}

// All at once, so that the few seconds after which a program leaves a hanging read behind pass
// once.
TEST_F(Signals, AreHeardWhileAReadNeverReturns) {
  const std::string train = picture("train", 17);
  const std::string val = picture("val", 9);
  const std::string late = picture("val", 15);
  const std::string from = " --checkpoint " + checkpoint() + data();
  const std::string detect = "detect train --data " + *folder_ / "devkit" + kTinyDetector;
  ASSERT_EQ(run_invp(with(detect + "--out @/detector/run", scratch_.path().string())).code, 0);
  const std::string heads = " --batch-size 8 --epochs 2 --seed 3 --save-steps 1";
  const std::vector<Work> works = {
      {"step", "pretrain" + kTraining + kNetwork + data() + " --epochs 2 --out @/run", train, true},
      {"step-alone",
       "pretrain" + kTraining + kNetwork + data() + " --workers 0 --epochs 2 --out @/run", train,
       true},
      {"evaluation", "pretrain" + kTraining + kNetwork + data() + " --epochs 2 --out @/run", val,
       true},
      {"bank",
       "pretrain" + kTraining + kNetwork + data() + " --bank-start features --epochs 2 --out @/run",
       train, true},
      {"linear-step", "linear" + from + heads + " --out @/run", train, true},
      {"linear-evaluation", "linear" + from + heads + " --out @/run", late, true},
      {"finetune-step", "finetune --protocol transfer" + from + heads + " --out @/run", train,
       true},
      {"finetune-evaluation", "finetune --protocol transfer" + from + heads + " --out @/run", val,
       true},
      {"detect-step", detect + "--out @/run", "JPEGImages/000004", true},
      {"detect-evaluation", detect + "--out @/run", "JPEGImages/000008", true},
      {"detect-judge",
       "detect eval --threads 1 --checkpoint @/../detector/run/checkpoints/last.safetensors "
       "--data " +
           *folder_ / "devkit",
       "JPEGImages/000007"},
      {"extract", "extract" + from + " --to @/f.safetensors", train},
      {"knn", "knn" + from, val},
      {"pack", "data pack --data " + set() + " --split train --threads 1 --to @/a.pack", train},
      {"check", "data check --data " + set() + " --threads 1", train},
      {"weights", "convert " + checkpoint() + " --to @/w.pth", "last.safetensors"},
      {"report", "report " + *folder_ / "base --to @/page.html", "set/train"},
      {"tsne",
       "tsne --features " + *folder_ / "f.safetensors" + " --data " + set() +
           " --thumbnails 40 --perplexity 5 --iterations 20 --threads 1 --out @/map",
       "set/train"}};
  std::vector<std::unique_ptr<Started>> programs;
  for (const Work& work : works) {
    fs::create_directories(own(work.name));
    programs.push_back(std::make_unique<Started>(
        with(work.arguments, own(work.name)), faulty("block", work.file, own(work.name + ".mark")),
        own(work.name + ".said")));
  }
  for (std::size_t i = 0; i < works.size(); ++i) {
    SCOPED_TRACE(works[i].name);
    await(own(works[i].name + ".mark"), *programs[i]);
    const int signal = std::array{SIGTERM, SIGINT, SIGHUP, SIGXCPU}[i % 4];
    programs[i]->signal(signal);
  }
  for (std::size_t i = 0; i < works.size(); ++i) {
    const int signal = std::array{SIGTERM, SIGINT, SIGHUP, SIGXCPU}[i % 4];
    EXPECT_EQ(programs[i]->code_within(kDeadline), 128 + signal)
        << works[i].name << ": " << read_all(own(works[i].name + ".said"));
  }
  // It was stopped among the thumbnails, when the map itself was done.
  EXPECT_EQ(read_safetensors(own("tsne/map/points.safetensors")).find("points")->dim(0), 48);
  for (const Work& work : works) {
    if (!work.trains) continue;
    SCOPED_TRACE(work.name);
    const std::string run = own(work.name) + "/run";
    ASSERT_TRUE(fs::exists(run + "/checkpoints/last.safetensors"));
    const Outcome resumed = run_invp(with(work.arguments, own(work.name)) + " --resume auto");
    ASSERT_EQ(resumed.code, 0) << resumed.err;
    const Outcome whole = run_invp(with(work.arguments, own(work.name) + "/whole"));
    ASSERT_EQ(whole.code, 0) << whole.err;
    EXPECT_TRUE(read_all(run + "/checkpoints/last.safetensors") ==
                read_all(own(work.name) + "/whole/run/checkpoints/last.safetensors"))
        << "the resumed run ended in other bytes";
  }
}

TEST_F(Signals, ADiskThatComesBackCostsNothing) {
  const std::string arguments = "extract --checkpoint " + checkpoint() + data();
  for (const std::string& fault : std::vector<std::string>{
           std::to_string(EIO), std::to_string(ESTALE), "open:" + std::to_string(EMFILE),
           "open:" + std::to_string(ENOENT)}) {
    const Outcome outcome = run_invp(arguments + " --to " + own("again.safetensors"),
                                     faulty(fault, "set/train", own("mark"), "2"));
    ASSERT_EQ(outcome.code, 0) << fault << ": " << outcome.err;
    EXPECT_TRUE(fs::exists(own("mark")));
    EXPECT_TRUE(read_all(own("again.safetensors")) == read_all(*folder_ / "f.safetensors"));
    fs::remove(own("mark"));
  }
}

TEST_F(Signals, ADiskThatStaysAwayStopsTheRunWithACheckpoint) {
  const std::string bad = picture("train", 17);
  const std::string arguments = "pretrain" + kTraining + kNetwork + data() +
                                " --epochs 2 --max-bad-share 1 --out " + own("run");
  const Outcome outcome = run_invp(arguments, faulty(std::to_string(EIO), bad, own("mark")));
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr(bad), HasSubstr("the disk failed"), HasSubstr("tried")));
  const Outcome resumed = run_invp(arguments + " --resume auto");
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_THAT(resumed.err, ::testing::Not(HasSubstr("left out"))) << "it is no broken picture";
  ASSERT_EQ(run_invp("pretrain" + kTraining + kNetwork + data() +
                     " --epochs 2 --max-bad-share 1 --out " + own("whole"))
                .code,
            0);
  EXPECT_TRUE(read_all(own("run/checkpoints/last.safetensors")) ==
              read_all(own("whole/checkpoints/last.safetensors")));
}

// A terminal that is held, or `invp ... | less`.
TEST_F(Signals, AreHeardWhileNobodyReadsWhatIsSaid) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  fcntl(ends[1], F_SETFL, O_NONBLOCK);
  const std::string full(65536, '.');
  while (write(ends[1], full.data(), full.size()) > 0) {
  }
  fcntl(ends[1], F_SETFL, 0);
  const std::string out = own("run");
  constexpr int kForTheShell = 9;
  ASSERT_EQ(dup2(ends[1], kForTheShell), kForTheShell);
  Started run("pretrain" + kTraining + kNetwork + data() + " --epochs 400 --out " + out, "",
              "/dev/null 2>&9; :");
  close(kForTheShell);
  std::this_thread::sleep_for(1s);
  run.signal(SIGTERM);
  EXPECT_EQ(run.code_within(kDeadline), 128 + SIGTERM);
}

TEST_F(Signals, OfFailedWritesAreErrorsOfTheWrite) {
  const std::string unread = "(sleep 1; " + program() + " convert " + checkpoint() + " --list 2>" +
                             own("err") + "; echo $? >" + own("code") + ") | :";
  ASSERT_EQ(std::system(unread.c_str()), 0);
  std::this_thread::sleep_for(100ms);
  EXPECT_EQ(read_all(own("code")), "1\n");
  EXPECT_THAT(read_all(own("err")), HasSubstr("could not be written"));
  // 40 blocks of 512 bytes: too few for a checkpoint.
  const Outcome limited =
      run_invp("pretrain" + kTraining + kNetwork + data() + " --epochs 1 --out " + own("limited"),
               "ulimit -f 40;");
  EXPECT_EQ(limited.code, 1);
  EXPECT_THAT(limited.err, HasSubstr("File too large"));
}

TEST_F(Signals, TwiceAtOnceAreOne) {
  const std::string arguments =
      "pretrain" + kTraining + kNetwork + data() + " --epochs 400 --out " + own("run");
  Started twice(arguments, "", own("said"));
  await(own("run/checkpoints/last.safetensors"), twice);
  twice.signal(SIGINT);
  twice.signal(SIGINT);
  EXPECT_EQ(twice.code_within(kDeadline), 128 + SIGINT);
  EXPECT_THAT(read_all(own("said")), HasSubstr("stopped at step"));
}

}  // namespace
}  // namespace invp::testing
