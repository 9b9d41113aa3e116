// What to tell a person whose run waits for its images.
#pragma once

#include <string>

namespace invp {

/// Share of an epoch's time beyond which waiting for images is worth a word.
inline constexpr double kDataWaitWorthAWord = 0.10;

struct DataWait {
  double share = 0;          ///< of the epoch's time, 0..1
  int workers = 1;           ///< threads that decode and augment
  int cores = 1;             ///< that the process may use
  bool packed = false;       ///< the set is a pack already
  std::string storage = {};  ///< of a pack, in words (Dataset::storage)
};

/// One line: how much of the time was lost, and what to do about it here.
std::string data_wait_advice(const DataWait& wait);

}  // namespace invp
