#include "tools/commands/doctor_ranks.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <sys/resource.h>
#include <sys/statvfs.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "engine/comm/comm_mpi.h"
#include "engine/comm/comm_nccl.h"
#include "engine/comm/launch.h"
#include "engine/comm/mpi_launcher.h"
#include "engine/core/cpu_share.h"
#include "engine/core/error.h"
#include "engine/core/text.h"
#include "engine/devices/cuda_info.h"
#include "invp/report/text/table.h"

namespace invp::cli {

namespace {

/// The first line that a program prints; empty if it cannot be started.
std::string first_line_of(const std::string& program) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(
      popen(("'" + program + "' --version 2>/dev/null").c_str(), "r"), pclose);
  std::array<char, 256> line{};
  if (!pipe || std::fgets(line.data(), line.size(), pipe.get()) == nullptr) return {};
  const std::string text = line.data();
  return text.substr(0, text.find('\n'));
}

std::string family_of(const std::string& text) {
  return text.find("Open MPI") != std::string::npos || text.find("OpenRTE") != std::string::npos
             ? "Open MPI"
             : "MPICH";
}

/// The program that starts ranks, and whether it is of the library's family.
std::string launcher_text(const std::string& library) {
  try {
    const std::string program = mpi_command(1, variable_of_process("PATH")).front();
    const std::string version = first_line_of(program);
    const bool same = library.starts_with(family_of(version));
    return message(program, ": ", version.empty() ? "does not start" : version,
                   same ? "" : ", which is of another MPI: its ranks would never meet");
  } catch (const Error& error) {
    return error.what();
  }
}

/// Who started this process, and the variables that say so.
std::string started_text(const std::string& library) {
  std::vector<std::string> seen;
  const auto environment = [&](const char* name) {
    std::string value = variable_of_process(name);
    if (!value.empty()) seen.push_back(message(name, '=', value));
    return value;
  };
  try {
    const Launch launch = read_launch(environment, library);
    const std::string by = launch.ranks.size == 1 ? "one rank"
                                                  : message("rank ", launch.ranks.rank, " of ",
                                                            launch.ranks.size, ", by ", launch.by);
    return seen.empty() ? by : message(by, " (", joined(seen), ")");
  } catch (const Refused& error) {
    return error.what();
  }
}

std::string nccl_text() {
  const std::string library = nccl_library();
  if (library.empty()) return message("none: ", kHowToGetNccl);
  return message(library, ", built with ", nccl_headers());
}

/// Whether GPUs read each other's memory; empty where there are not several.
std::string peers_text(const CudaInfo& cuda) {
  if (cuda.gpus.size() < 2) return {};
  std::vector<std::string> apart;
  for (const auto& [one, other] : cuda.apart) apart.push_back(message(one, " and ", other));
  return apart.empty() ? message("all ", cuda.gpus.size(), " read each other's memory")
                       : message("these go by the host: ", joined(apart));
}

std::string line_of(const std::string& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return line;
}

/// "10.0.0.2, up, 1000 Mbit/s"
std::string interface_text(const ifaddrs& interface) {
  std::array<char, INET_ADDRSTRLEN> address{};
  inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(interface.ifa_addr)->sin_addr,
            address.data(), address.size());
  const std::string speed = line_of(message("/sys/class/net/", interface.ifa_name, "/speed"));
  const bool up = (interface.ifa_flags & IFF_UP) != 0 && (interface.ifa_flags & IFF_RUNNING) != 0;
  return message(address.data(), up ? ", up" : ", down",
                 speed.empty() || speed[0] == '-' ? "" : message(", ", speed, " Mbit/s"));
}

void add_interfaces(Table& table, Results& results) {
  results["interfaces"] = Results::array();
  ifaddrs* first = nullptr;
  if (getifaddrs(&first) != 0) return;
  for (const ifaddrs* at = first; at != nullptr; at = at->ifa_next) {
    if (at->ifa_addr == nullptr || at->ifa_addr->sa_family != AF_INET) continue;
    const std::string text = interface_text(*at);
    table.row({at->ifa_name, text});
    results["interfaces"].push_back({{"name", at->ifa_name}, {"state", text}});
  }
  freeifaddrs(first);
}

std::string locked_memory() {
  rlimit limit{};
  getrlimit(RLIMIT_MEMLOCK, &limit);
  return limit.rlim_cur == RLIM_INFINITY ? "without limit"
                                         : format_bytes(static_cast<std::int64_t>(limit.rlim_cur));
}

}  // namespace

void print_ranks(Results& results) {
  const std::string library = mpi_library();
  Results facts;
  Table table(std::vector<std::string>(2));
  const auto fact = [&](const char* heading, const char* key, const std::string& text) {
    table.row({heading, text});
    facts[key] = text;
  };
  fact("MPI", "mpi", library.empty() ? message("none: ", kHowToGetMpi) : library);
  if (!library.empty()) fact("launcher", "launcher", launcher_text(library));
  const CudaInfo cuda = cuda_info();
  if (cuda.built) fact("NCCL", "nccl", nccl_text());
  if (const std::string peers = peers_text(cuda); !peers.empty()) fact("GPUs", "gpu_peers", peers);
  fact("started as", "started", started_text(library));
  fact("cores", "cores",
       message(usable_cores(), " of ", std::thread::hardware_concurrency(), " allowed",
               usable_cores() < static_cast<int>(std::thread::hardware_concurrency())
                   ? ": is a launcher binding ranks to cores?"
                   : ""));
  struct statvfs shared {};
  if (statvfs("/dev/shm", &shared) == 0)
    fact("/dev/shm", "shared_memory",
         format_bytes(static_cast<std::int64_t>(shared.f_blocks * shared.f_frsize)) +
             ", through which ranks of one machine exchange");
  fact("locked memory", "locked_memory", locked_memory());
  add_interfaces(table, facts);
  std::cout << "\nRanks\n" << table.text();
  results["ranks"] = facts;
}

}  // namespace invp::cli
