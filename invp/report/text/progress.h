// Progress on stderr: on a terminal one line that is redrawn, elsewhere a plain line every 30 s.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

#include "engine/core/stopwatch.h"

namespace invp {

/// One state of the bar.
struct ProgressView {
  std::string label;  ///< "epoch 3/40"
  std::int64_t done = 0;
  std::int64_t total = 0;
  std::string detail;     ///< "loss 6.12"; dropped first when the line is too long
  double per_second = 0;  ///< 0: not known yet
  const char* unit = "images";
  double seconds_left = -1;  ///< negative: not known yet
};
/// The bar's line. `fancy`: at most `columns` wide, with a bar of block characters; otherwise the
/// text alone, of any width.
std::string progress_line(const ProgressView& view, int columns, bool fancy);

/// A parent that passes this program's stderr on to a terminal says so here, by its columns.
inline constexpr const char* kTerminalBehind = "INVP_TERMINAL";
/// Of the terminal that `stream` is, or that stderr is passed on to; 0: there is none. With
/// TERM=dumb there is none.
int terminal_columns(std::FILE* stream);

class ProgressDisplay {
 public:
  /// Writes to `stream`, whose terminal_columns() say whether there is a bar.
  explicit ProgressDisplay(std::FILE* stream = stderr);
  ~ProgressDisplay();
  ProgressDisplay(const ProgressDisplay&) = delete;
  ProgressDisplay& operator=(const ProgressDisplay&) = delete;

  /// Shows a state, at most ten times per second on a terminal and every 30 s elsewhere.
  void show(const ProgressView& view);
  /// Prints a line that stays; the bar is redrawn below it.
  void line(const std::string& text);
  /// Removes the bar.
  void clear();
  bool on_terminal() const { return terminal_; }

 private:
  using Clock = std::chrono::steady_clock;
  void put(const std::string& text) const;

  std::FILE* stream_;
  bool terminal_;
  bool drawn_ = false;
  Clock::time_point last_;
};

/// Smoothed rate of a counter: recent seconds weigh more.
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

/// A bar for one piece of work, with its rate. The destructor removes it.
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
  ProgressDisplay progress_;
  Pace pace_;
  Stopwatch stopwatch_;
};

}  // namespace invp
