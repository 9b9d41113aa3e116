// --data, --format and the settings of the synthetic set; --workers.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "data/images/decode.h"
#include "data/load/loader.h"
#include "data/sets/splits.h"
#include "tools/options/options.h"

namespace invp::cli {

struct DataOptions {
  std::string path;
  std::string format = "auto";
  std::int64_t synthetic_train = 10'000;
  std::int64_t synthetic_val = 1'000;
  int synthetic_classes = 10;
  int synthetic_size = 32;
  std::int64_t synthetic_seed = 0;
  int workers = 0;  ///< 0: one per CPU thread
  std::int64_t max_pixels = default_max_pixels();
  std::string augment_on = "auto";
  std::string decode_on = "workers";
};

void declare_data(Options& options, DataOptions& data);
/// --max-pixels alone, for commands without a data set: they pass it to set_default_max_pixels.
void declare_max_pixels(Options& options, std::int64_t& max_pixels);

/// --augment-on, for commands that train.
void declare_augment_on(Options& options, DataOptions& data);
/// Unset for "auto".
std::optional<AugmentOn> augment_on(const DataOptions& data);

/// --decode-on, beside --augment-on.
void declare_decode_on(Options& options, DataOptions& data);
/// Throws UsageError that says what to use instead, where the device cannot or other options rule
/// it out.
DecodeOn decode_on(const DataOptions& data, const AugmentConfig& augment, Device device);

/// Applies --max-pixels too. Throws UsageError when neither a path nor the synthetic set was asked
/// for.
DataSource data_source(const DataOptions& data);
/// Loader threads: what was asked for, or one per compute thread.
int worker_count(const DataOptions& data);
/// On stderr, if there is anything: what lies among the images of the split and was not taken, and
/// labels far beyond the number of those that occur.
void tell_left_out(const Dataset& set, std::string_view split);

}  // namespace invp::cli
