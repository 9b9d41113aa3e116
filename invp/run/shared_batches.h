// The batches of a run that several ranks share: each rank makes its part of every batch, and all
// agree before a step on how many images it has, on those that cannot be read, and on a stop.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "data/sets/bad_images.h"
#include "invp/run/batch_source.h"
#include "invp/run/run_ranks.h"

namespace invp {

/// How many of a batch's images each rank has. Where nothing is missing that needs no call, so that
/// such steps can be captured; else a collective call.
std::vector<std::int64_t> images_of_ranks(const Batch& batch, int groups, Communicator& ranks);
/// What a rank puts into its tickets, and whom it tells what comes back.
struct TicketTalk {
  std::function<bool()> stop;  ///< is it to stop?
  std::function<bool()> save;  ///< does it want a checkpoint now? Rank 0's clock decides
  std::function<void(const std::string& note)> tell;
};

class SharedBatches final : public BatchSource {
 public:
  /// `own` makes this rank's part and accepts all images that cannot be read: how many the run
  /// accepts, `max_bad_share`, is counted over all ranks.
  SharedBatches(const RunRanks& ranks, BatchSource& own, double max_bad_share, TicketTalk talk);

  std::int64_t images_per_epoch() const override { return own_.images_per_epoch(); }
  std::int64_t images() const override { return own_.images(); }
  std::int64_t batches_per_epoch() const override { return own_.batches_per_epoch(); }
  void start_epoch(std::int64_t epoch, std::int64_t first_batch) override {
    own_.start_epoch(epoch, first_batch);
  }
  /// A batch without any image on any rank is passed over. All ranks throw Stopped, or the Error of
  /// too many images that cannot be read, before the same step.
  std::optional<Batch> next() override;
  bool save_first() const override { return save_first_; }
  double wait_seconds() const override { return own_.wait_seconds(); }
  /// Of all ranks, in the order of the batches.
  std::vector<BadImage> bad_images() override { return bad_.all(); }
  std::vector<BadPlace> bad_places() override { return bad_.places(); }
  void remember_bad(const std::vector<BadPlace>& places) override;
  DataWait reading() const override { return own_.reading(); }

 private:
  void share_bad(const std::vector<BadImage>& images, const std::vector<BadPlace>& places);

  const RunRanks& ranks_;
  BatchSource& own_;
  const TicketTalk talk_;
  BadImages bad_;
  std::size_t told_ = 0;  ///< of this rank's own
  std::int64_t tickets_ = 0;
  double waited_ = 0;  ///< seconds for images, up to the last ticket
  bool save_first_ = false;
};

}  // namespace invp
