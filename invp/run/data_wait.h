// What to tell a person whose run waits for its images.
#pragma once

#include <string>

#include "data/sets/dataset.h"
#include "invp/run/observer.h"

namespace invp {

/// Share of an epoch's time beyond which waiting for images is worth a word.
inline constexpr double kDataWaitWorthAWord = 0.10;

struct DataWait {
  double share = 0;          ///< of the epoch's time, 0..1
  int workers = 1;           ///< threads that decode and augment
  int cores = 1;             ///< that the process may use
  bool packed = false;       ///< the set is a pack already
  std::string storage = {};  ///< of a pack, in words (Dataset::storage)
  bool boxes = false;        ///< pictures with boxes: these cannot be packed
};

/// Of a data set read by so many threads on this machine; share is yet to be filled in.
DataWait reading_of(const Dataset& dataset, int workers);

/// One line: how much of the time was lost, and what to do about it here.
std::string data_wait_advice(const DataWait& wait);

/// Gives that advice once a run: after an epoch with more waiting than kDataWaitWorthAWord, and not
/// for what is lost while the run starts up.
class DataWaitAdvice {
 public:
  /// `waited`: seconds since the start of the run.
  void note(const DataWait& wait, double waited, RunObserver& observer);

 private:
  bool given_ = false;
};

}  // namespace invp
