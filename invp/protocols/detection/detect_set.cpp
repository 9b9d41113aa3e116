#include "invp/protocols/detection/detect_set.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "data/load/ordered_workers.h"
#include "engine/comm/gather.h"
#include "engine/files/file_reader.h"
#include "invp/protocols/detection/detector_batch.h"
#include "invp/run/bad_of_ranks.h"

namespace invp {

namespace {

struct ReadPicture {
  TestPicture picture;
  std::string fault;  ///< why there is none; empty if there is one
};

/// Reads the set's pictures ahead of the detector, in order: those that are this rank's turn.
class PictureReader {
 public:
  PictureReader(const DetectionSet& set, const DetectSetOptions& options, Device device,
                const Ranks& here)
      : set_(set), options_(options), device_(device), here_(here), workers_(1, kAhead, work()) {
    slots_.resize(workers_.slots());
    places_.resize(workers_.slots());
    workers_.start(0, (std::ssize(set.pictures) + here.size - 1 - here.rank) / here.size);
  }

  /// Nothing at the end. Valid until the next call.
  const ReadPicture* next() {
    const auto item = workers_.next();
    return item ? &slots_[item->slot] : nullptr;
  }

 private:
  static constexpr int kAhead = 2;

  OrderedWorkers::Work work() {
    return {.begin =
                [this](std::int64_t position, std::size_t slot) {
                  places_[slot] = position * here_.size + here_.rank;
                  return std::int64_t{1};
                },
            .make = [this](std::size_t slot, std::int64_t, std::size_t) { read(slot); }};
  }

  void read(std::size_t slot) {
    ReadPicture& into = slots_[slot];
    into = {};
    try {
      into.picture = test_picture(read_picture(set_, places_[slot], options_.decode), device_,
                                  places_[slot], options_.short_edge, options_.longest);
    } catch (const SystemError&) {
      throw;
    } catch (const Error& error) {
      into.fault = error.what();
    }
  }

  const DetectionSet& set_;
  const DetectSetOptions options_;
  const Device device_;
  const Ranks here_;
  std::vector<ReadPicture> slots_;
  std::vector<std::int64_t> places_;
  OrderedWorkers workers_;  // last: its thread uses what is above
};

/// Of all ranks, picture by picture. All of these are numbers that f64 holds.
std::vector<Detection> gather_detections(Communicator& ranks, const std::vector<Detection>& mine) {
  constexpr std::int64_t kNumbers = 7;
  std::vector<double> numbers;
  for (const Detection& one : mine) {
    numbers.insert(numbers.end(),
                   {static_cast<double>(one.picture), static_cast<double>(one.label), one.score});
    numbers.insert(numbers.end(), one.box.begin(), one.box.end());
  }
  const Tensor all =
      gather_rows(ranks, "detections", Tensor::from(numbers, {std::ssize(mine), kNumbers}),
                  gather_numbers(ranks, "detections", std::ssize(mine)));
  std::vector<Detection> rows(static_cast<std::size_t>(all.dim(0)));
  const double* at = all.data<double>();
  for (Detection& one : rows) {
    one.picture = static_cast<std::int32_t>(at[0]);
    one.label = static_cast<std::int32_t>(at[1]);
    one.score = at[2];
    std::copy(at + 3, at + kNumbers, one.box.begin());
    at += kNumbers;
  }
  std::ranges::stable_sort(rows, {}, &Detection::picture);
  return rows;
}

}  // namespace

std::vector<FoundObject> detect_picture(FasterRcnn& detector, const TestPicture& picture) {
  const BoxedView& view = picture.group.views.front();
  const std::vector<FoundObject> found =
      detector.detect(detector_input({picture.group}, {}, detector.device()));
  return at_original_size(found, {view.height, view.width}, {picture.height, picture.width});
}

FoundInSet detect_set(FasterRcnn& detector, const DetectionSet& set,
                      const DetectSetOptions& options,
                      const std::function<void(std::int64_t done, std::int64_t total)>& progress,
                      Communicator& ranks) {
  detector.train(false);
  const auto total = std::ssize(set.pictures);
  const Ranks here = ranks.ranks();
  // That of one rank ends it where it is met.
  BadImages met("[detect]", here.size == 1 ? options.max_bad_share : 1, total);
  std::vector<BadOfRank> bad;
  PictureReader reader(set, options, detector.device(), here);
  FoundInSet found;
  progress(0, total);
  for (std::int64_t row = here.rank; const ReadPicture* const read = reader.next();
       row += here.size) {
    if (!read->fault.empty()) {
      bad.push_back(
          {row, {.file = set.pictures[static_cast<std::size_t>(row)].name, .reason = read->fault}});
      met.add(row, bad.back().second);
      met.check();
    } else {
      for (const FoundObject& object : detect_picture(detector, read->picture)) {
        Detection detection{.picture = static_cast<std::int32_t>(row),
                            .label = object.label,
                            .score = object.score};
        for (std::size_t i = 0; i < 4; ++i) detection.box[i] = object.box[i];
        found.detections.rows.push_back(detection);
      }
    }
    progress(std::min(row - here.rank + here.size, total), total);
  }
  found.bad = bad_of_evaluation(ranks, bad, options.max_bad_share, total);
  if (here.size > 1) found.detections.rows = gather_detections(ranks, found.detections.rows);
  return found;
}

}  // namespace invp
