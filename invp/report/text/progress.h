// Progress for people: on a terminal one line that redraws itself, elsewhere a plain line now and
// then.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

#include "engine/core/stopwatch.h"

namespace invp {

/// What one state of the bar looks like, without the terminal.
struct ProgressView {
  std::string label;  ///< "epoch 3/40"
  std::int64_t done = 0;
  std::int64_t total = 0;
  std::string detail;     ///< "loss 6.12"; dropped first when the line is short of room
  double per_second = 0;  ///< 0: not known yet
  const char* unit = "images";
  double seconds_left = -1;  ///< negative: not known yet
};
/// The bar's line, at most `columns` wide. Fancy lines use block characters, plain ones have no bar
/// at all.
std::string progress_line(const ProgressView& view, int columns, bool fancy);

class Progress {
 public:
  /// Writes to `stream` (stderr, or a file in tests). Whether it is a terminal, and how wide, is
  /// asked of the system; TERM=dumb counts as none.
  explicit Progress(std::FILE* stream = stderr);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Shows a state: at most ten times a second on a terminal, every 30 s elsewhere.
  void show(const ProgressView& view);
  /// Prints a line that stays, above the bar.
  void line(const std::string& text);
  /// Takes the bar away.
  void clear();
  bool on_terminal() const { return terminal_; }

 private:
  using Clock = std::chrono::steady_clock;
  void put(const std::string& text) const;
  int columns() const;

  std::FILE* stream_;
  bool terminal_;
  bool drawn_ = false;
  Clock::time_point last_;
};

/// Smoothed pace of a counter, and what is left of it: recent seconds weigh more.
class Pace {
 public:
  void update(double done, double seconds);
  double per_second() const { return weight_ > 0 ? work_ / weight_ : 0; }

 private:
  double last_done_ = -1;
  double last_seconds_ = 0;
  double work_ = 0;
  double weight_ = 0;
};

/// A bar of its own for one piece of work, with its pace. Goes away with the object.
class ProgressBar {
 public:
  explicit ProgressBar(std::string label, const char* unit = "images")
      : label_(std::move(label)), unit_(unit) {}
  ~ProgressBar() { progress_.clear(); }
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void show(std::int64_t done, std::int64_t total, const std::string& detail = {});

 private:
  std::string label_;
  const char* unit_;
  Progress progress_;
  Pace pace_;
  Stopwatch stopwatch_;
};

}  // namespace invp
