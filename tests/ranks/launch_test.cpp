// Who started this process, by tables of what launchers set.
#include "engine/comm/launch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "engine/comm/recorder.h"
#include "tests/support/temp_folder.h"

namespace invp::testing {
namespace {

using Variables = std::map<std::string, std::string>;

Environment of(const Variables& variables) {
  return [variables](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? std::string() : found->second;
  };
}

const Variables kMpirun = {
    {"OMPI_COMM_WORLD_SIZE", "4"}, {"OMPI_COMM_WORLD_RANK", "3"}, {"PMIX_RANK", "3"}};
const Variables kMpiexec = {{"PMI_SIZE", "4"}, {"PMI_RANK", "2"}};
const Variables kSrun = {{"SLURM_STEP_NUM_TASKS", "5"},
                         {"SLURM_PROCID", "4"},
                         {"SLURM_LOCALID", "0"},
                         {"SLURM_NODEID", "2"},
                         {"SLURM_STEP_TASKS_PER_NODE", "2(x2),1"},
                         {"SLURM_STEP_NODELIST", "n[07-09]"},
                         {"SLURM_JOB_ID", "12"},
                         {"SLURM_STEP_ID", "0"}};
const Variables kTorchrun = {{"RANK", "3"},
                             {"WORLD_SIZE", "4"},
                             {"LOCAL_RANK", "1"},
                             {"LOCAL_WORLD_SIZE", "2"},
                             {"MASTER_ADDR", "n1"},
                             {"MASTER_PORT", "29500"},
                             {"TORCHELASTIC_RUN_ID", "a"},
                             {"TORCHELASTIC_RESTART_COUNT", "1"}};

/// What variables_of_rank() gives.
Variables own(int rank, int size) {
  Variables variables;
  for (const std::string& variable : variables_of_rank(rank, size, 4711, "secret", 9)) {
    const std::size_t equals = variable.find('=');
    variables[variable.substr(0, equals)] = variable.substr(equals + 1);
  }
  return variables;
}

Variables with(Variables variables, const std::string& name, const std::string& value) {
  variables[name] = value;
  return variables;
}

TEST(Launch, IsReadFromWhatLaunchersSet) {
  struct Case {
    const char* what;
    Variables variables;
    const char* mpi;
    Starter starter;
    int rank, size;
    const char* by;
  };
  const Case cases[] = {
      {"nothing", {}, "Open MPI 4.1.4", Starter::kNobody, 0, 1, ""},
      {"mpirun", kMpirun, "Open MPI 4.1.4", Starter::kMpi, 3, 4, "mpirun (Open MPI 4.1.4)"},
      {"mpiexec", kMpiexec, "MPICH 4.0.2", Starter::kMpi, 2, 4, "mpiexec (MPICH 4.0.2)"},
      {"srun", kSrun, "Open MPI 4.1.4", Starter::kSrun, 4, 5, "srun"},
      {"--ranks on GPUs", own(2, 3), "", Starter::kOwn, 2, 3, "--ranks"},
      {"--ranks on GPUs in a step of srun", with(own(2, 3), "SLURM_STEP_NUM_TASKS", "5"), "",
       Starter::kOwn, 2, 3, "--ranks"},
      {"srun, a build without MPI", kSrun, "", Starter::kSrun, 4, 5, "srun"},
      {"srun --mpi=pmix", with(kSrun, "PMIX_RANK", "4"), "Open MPI 4.1.4", Starter::kMpi, 4, 5,
       "srun --mpi=pmix (Open MPI 4.1.4)"},
      {"torchrun", kTorchrun, "", Starter::kTorchrun, 3, 4, "torchrun"},
      {"by hand", with(kTorchrun, "TORCHELASTIC_RUN_ID", ""), "", Starter::kTorchrun, 3, 4,
       "RANK and WORLD_SIZE"},
      // A batch script, and a shell within a job: one rank.
      {"sbatch",
       {{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "4"}, {"SLURM_JOB_ID", "12"}},
       "Open MPI 4.1.4",
       Starter::kNobody,
       0,
       1,
       ""},
      {"srun --pty bash",
       {{"SLURM_PROCID", "0"}, {"SLURM_STEP_NUM_TASKS", "1"}},
       "Open MPI 4.1.4",
       Starter::kNobody,
       0,
       1,
       ""},
      {"a variable RANK of something else", {{"RANK", "7"}}, "", Starter::kNobody, 0, 1, ""},
      {"nonsense",
       {{"WORLD_SIZE", "four"}, {"RANK", "1"}, {"MASTER_ADDR", "n1"}},
       "",
       Starter::kNobody,
       0,
       1,
       ""},
      {"mpirun in a batch script", with(kMpirun, "SLURM_NTASKS", "4"), "Open MPI 4.1.4",
       Starter::kMpi, 3, 4, "mpirun (Open MPI 4.1.4)"},
  };
  for (const Case& c : cases) {
    const Launch launch = read_launch(of(c.variables), c.mpi);
    EXPECT_EQ(launch.starter, c.starter) << c.what;
    EXPECT_EQ(launch.ranks.rank, c.rank) << c.what;
    EXPECT_EQ(launch.ranks.size, c.size) << c.what;
    EXPECT_EQ(launch.by, c.by) << c.what;
  }
}

TEST(Launch, KnowsWhereRank0Listens) {
  const Launch first = read_launch(of(own(0, 2)), "");
  const Launch second = read_launch(of(own(1, 2)), "");
  EXPECT_EQ(first.ports, std::vector<int>{4711});
  EXPECT_EQ(second.ports, std::vector<int>{4711});
  EXPECT_EQ(first.name, "secret");
  EXPECT_EQ(second.host, "127.0.0.1");
  EXPECT_EQ(first.socket, 9);
  EXPECT_EQ(second.socket, -1);
  EXPECT_EQ(second.ranks.local_rank, 1);
  EXPECT_EQ(second.ranks.local_size, 2);
  EXPECT_EQ(read_launch(of(kTorchrun), "").ports, ports_of("a.1"));
  EXPECT_EQ(read_launch(of(kSrun), "").ports, ports_of("12.0"));
}

TEST(Launch, KnowsItsNode) {
  const Launch srun = read_launch(of(kSrun), "");
  EXPECT_EQ(srun.ranks.local_size, 1);
  EXPECT_EQ(srun.host, "n07");
  EXPECT_EQ(srun.name, "12.0");
  const Launch torchrun = read_launch(of(kTorchrun), "");
  EXPECT_EQ(torchrun.ranks.local_rank, 1);
  EXPECT_EQ(torchrun.ranks.local_size, 2);
  EXPECT_EQ(torchrun.host, "n1");
  EXPECT_EQ(torchrun.name, "a.1");
  EXPECT_EQ(read_launch(of(with(kSrun, "SLURM_NODEID", "1")), "").ranks.local_size, 2);
}

// These would become four runs of one rank, silently.
TEST(Launch, RefusesLaunchersWhoseRanksNeverMeet) {
  struct Case {
    Variables variables;
    const char* mpi;
    const char* why;
  };
  const Case cases[] = {
      {kMpirun, "MPICH 4.0.2",
       "4 ranks started by mpirun of Open MPI, but this program has MPICH 4.0.2"},
      {kMpiexec, "Open MPI 4.1.4",
       "4 ranks started by mpiexec of MPICH, but this program has Open MPI 4.1.4"},
      {kMpirun, "", "4 ranks started by mpirun of Open MPI, and this build has no MPI: install"},
      {with(with(kSrun, "PMI_SIZE", "5"), "PMI_RANK", "4"), "Open MPI 4.1.4",
       "use srun --mpi=pmix"},
      {with(kSrun, "PMIX_RANK", "4"), "MPICH 5.0.2", "whose PMIx is too old for MPICH 5.0.2"},
  };
  for (const Case& c : cases) {
    const std::string why = error_of([&] { read_launch(of(c.variables), c.mpi); });
    EXPECT_NE(why.find(c.why), std::string::npos) << why;
  }
  const Launch four = read_launch(of(kMpirun), "Open MPI 4.1.4");
  EXPECT_NO_THROW(check_size(four, 4, "Open MPI 4.1.4"));
  EXPECT_THROW(check_size(four, 1, "Open MPI 4.1.4"), Refused);
}

TEST(Launch, FindsTheFirstHostOfAList) {
  EXPECT_EQ(first_host("n3"), "n3");
  EXPECT_EQ(first_host("n3,n4"), "n3");
  EXPECT_EQ(first_host("n[3-5,7],m1"), "n3");
  EXPECT_EQ(first_host("n[03,05]"), "n03");
  EXPECT_EQ(first_host("r[1-2]n[07-08].x,y"), "r1n07.x");
  EXPECT_EQ(first_host("n["), "n");
  EXPECT_EQ(first_host(""), "");
}

TEST(Launch, SpreadsStartsOverPorts) {
  const std::vector<int> ports = ports_of("12.0");
  ASSERT_EQ(ports.size(), 16U);
  for (std::size_t i = 1; i < ports.size(); ++i)
    EXPECT_EQ(ports[i], ports[0] + static_cast<int>(i));
  EXPECT_GE(ports.front(), 1024);
  EXPECT_LT(ports.back(), 32768);
  EXPECT_EQ(ports_of("12.0"), ports);
  EXPECT_NE(ports_of("12.1"), ports);
}

TEST(Recorder, KeepsTheLastCalls) {
  Recorder recorder;
  EXPECT_EQ(recorder.text(), "");
  EXPECT_FALSE(recorder.in_call());
  for (int i = 1; i <= 300; ++i) {
    recorder.entered({"all_reduce", "gradients", 4 * i, DType::kF32}, i / 10);
    EXPECT_TRUE(recorder.in_call());
    if (i < 300) recorder.left();
  }
  EXPECT_EQ(recorder.count(), 300U);
  EXPECT_EQ(recorder.last(), "all_reduce gradients");
  const std::string text = recorder.text();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 256);
  EXPECT_EQ(text.find("45 step 4: all_reduce gradients, 180 bytes of f32, took "), 0U) << text;
  const std::string last = recorder.text(1);
  EXPECT_EQ(last.find("300 step 30: all_reduce gradients, 1200 bytes of f32, not done after "), 0U);
}

}  // namespace
}  // namespace invp::testing
