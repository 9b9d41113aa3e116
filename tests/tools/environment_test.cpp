// What a run must not depend on: the environment it is started in, and how long it has gone on.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <thread>

#include "tests/tools/program.h"

namespace invp::testing {
namespace {

using ::testing::HasSubstr;

constexpr const char* kRun =
    "pretrain --format synthetic --synthetic-train 32 --synthetic-val 8 --synthetic-size 16 "
    "--synthetic-classes 4 --image-size 16 --arch resnet18-cifar --width 4 --dim 16 "
    "--augment cifar --batch-size 16 --background 16 --hard-positives 4 --warm-epochs 1 "
    "--knn-k 5 --seed 3 --threads 1 --workers 2 ";

class Environment : public ::testing::Test {
 protected:
  std::string last(const std::string& name) const {
    return read_all(scratch_ / (name + "/checkpoints/last.safetensors"));
  }
  Scratch scratch_;
};

TEST_F(Environment, ChangesNoByte) {
  const auto run = [&](const std::string& name, const std::string& before) {
    const Outcome outcome =
        run_invp(kRun + std::string("--epochs 2 --out ") + (scratch_ / name), before);
    ASSERT_EQ(outcome.code, 0) << before << ": " << outcome.err;
  };
  run("plain", "");
  int number = 0;
  for (const char* before : {"env TZ=Asia/Kolkata",
                             "env TZ=nowhere",
                             "env LC_ALL=C",
                             "env LC_ALL=C.UTF-8",
                             "env LC_ALL=de_DE.UTF-8 LANG=tr_TR.UTF-8",
                             "env LC_ALL=none",
                             "env OMP_NUM_THREADS=7",
                             "env OMP_NUM_THREADS=nonsense",
                             "env OMP_THREAD_LIMIT=1",
                             "env OMP_DYNAMIC=true",
                             "env OMP_PROC_BIND=close OMP_PLACES=threads",
                             "env OMP_SCHEDULE=dynamic,1 OMP_NESTED=true",
                             "env OMP_WAIT_POLICY=active",
                             "env OMP_STACKSIZE=256K",
                             "env -i",
                             "env HOME=/nowhere TMPDIR=/nowhere",
                             "env TERM=dumb COLUMNS=7",
                             "env MALLOC_PERTURB_=85",
                             "nice -n 15",
                             "umask 077;",
                             "taskset -c 0",
                             "ulimit -s 1024;"}) {
    const std::string name = "run" + std::to_string(number++);
    run(name, before);
    EXPECT_TRUE(last(name) == last("plain")) << before;
  }
}

TEST_F(Environment, TwoWritersAtOnceAreOneAndARefusal) {
  const std::string out = scratch_ / "shared";
  Outcome outcomes[2];
  std::thread others[2];
  for (int i = 0; i < 2; ++i) {
    others[i] = std::thread(
        [&, i] { outcomes[i] = run_invp(kRun + std::string("--epochs 40 --out ") + out); });
  }
  for (std::thread& other : others) other.join();
  const int refused = outcomes[0].code == 0 ? 1 : 0;
  EXPECT_EQ(outcomes[1 - refused].code, 0) << outcomes[1 - refused].err;
  EXPECT_NE(outcomes[refused].code, 0) << "both wrote into one folder";
  EXPECT_THAT(outcomes[refused].err, HasSubstr(out));
  ASSERT_EQ(run_invp(kRun + std::string("--epochs 40 --out ") + (scratch_ / "alone")).code, 0);
  EXPECT_TRUE(last("shared") == last("alone"));
}

/// The most memory that the program had at a time, in bytes.
std::int64_t peak_of(const std::string& arguments) {
  const std::string line = "exec " + program() + " " + arguments;
  const pid_t child = fork();
  if (child == 0) {
    const int nowhere = open("/dev/null", O_WRONLY);
    dup2(nowhere, STDOUT_FILENO);
    dup2(nowhere, STDERR_FILENO);
    // AddressSanitizer keeps up to 256 MB of what was freed, which would count as growth.
    setenv("ASAN_OPTIONS", "quarantine_size_mb=1", 1);
    execl("/bin/sh", "sh", "-c", line.c_str(), nullptr);
    _exit(127);
  }
  int status = 0;
  rusage usage{};
  wait4(child, &status, 0, &usage);
  EXPECT_EQ(exit_code(status), 0) << arguments;
  return std::int64_t{usage.ru_maxrss} * 1024;
}

std::int64_t setting(const char* name, std::int64_t usual) {
  const char* const value = std::getenv(name);
  return value != nullptr ? std::atoll(value) : usual;
}

// scripts/torture.d/memory has more of both. Each epoch is a line of metrics.jsonl and of the
// curves, which are in memory.
TEST_F(Environment, MemoryStaysFlatOverEpochsAndResumes) {
  const std::int64_t epochs = setting("INVP_MEMORY_EPOCHS", 120);
  const std::int64_t resumes = setting("INVP_MEMORY_RESUMES", 6);
  const auto peak = [&](std::int64_t until) {
    return peak_of(kRun + std::string("--schedule constant --resume auto --epochs ") +
                   std::to_string(until) + " --out " + (scratch_ / "long"));
  };
  // After 40 epochs the allocators have what they keep: AddressSanitizer's, 12 MB more than
  // after 5.
  const std::int64_t most = peak(40) + 6'000'000 + 2'000 * epochs;
  EXPECT_LT(peak(epochs), most);
  // Who goes on reads the epochs of before as well.
  const std::int64_t again = peak(epochs + 1);
  EXPECT_LT(again, most + 1'000 * epochs);
  for (std::int64_t i = 2; i <= resumes; ++i) EXPECT_LT(peak(epochs + i), again + 3'000'000) << i;
}

}  // namespace
}  // namespace invp::testing
