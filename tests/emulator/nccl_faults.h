// Faults that INVP_EMULATED_NCCL asks for, for tests: "hang:rank=1:op=17", "remote-error:op=5",
// "slow:rank=2:ms=50", "init-never", "order=reverse" (sums are taken from the last rank to the
// first). Words are parted by commas.
#pragma once

#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

namespace emulator {

struct Fault {
  std::string kind;
  int rank = -1;  ///< -1: any
  int op = -1;    ///< the number of a collective call of this process, counted from 0; -1: any
  int ms = 0;

  bool hits(int at_rank, int at_op) const {
    return (rank < 0 || rank == at_rank) && (op < 0 || op == at_op);
  }
};

/// Those of this process.
inline const std::vector<Fault>& faults() {
  static const auto& all = *new auto([] {
    const char* const text = std::getenv("INVP_EMULATED_NCCL");
    std::vector<Fault> found;
    std::istringstream words(text == nullptr ? "" : text);
    for (std::string word; std::getline(words, word, ',');) {
      Fault fault;
      std::istringstream parts(word);
      std::getline(parts, fault.kind, ':');
      for (std::string part; std::getline(parts, part, ':');) {
        const std::size_t equals = part.find('=');
        const int value = std::atoi(part.c_str() + equals + 1);
        const std::string name = part.substr(0, equals);
        (name == "rank" ? fault.rank : name == "op" ? fault.op : fault.ms) = value;
      }
      found.push_back(fault);
    }
    return found;
  }());
  return all;
}

/// The first fault of this kind at this place, or null.
inline const Fault* find_fault(const std::vector<Fault>& faults, const std::string& kind, int rank,
                               int op) {
  for (const Fault& fault : faults)
    if (fault.kind == kind && fault.hits(rank, op)) return &fault;
  return nullptr;
}

}  // namespace emulator
