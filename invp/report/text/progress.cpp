#include "invp/report/text/progress.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string_view>

#include "engine/core/stop.h"
#include "engine/core/text.h"

namespace invp {

namespace {

constexpr int kBarColumns = 24;
constexpr auto kRedraw = std::chrono::milliseconds(100);
constexpr auto kPlainInterval = std::chrono::seconds(30);

std::string bar(double fraction, int columns) {
  static constexpr const char* kEighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const int eighths = static_cast<int>(std::clamp(fraction, 0.0, 1.0) * columns * 8);
  std::string text = "▕";
  for (int i = 0; i < eighths / 8; ++i) text += "█";
  text += kEighths[eighths % 8];
  for (int i = (eighths + 7) / 8; i < columns; ++i) text += ' ';
  return text + "▏";
}

}  // namespace

std::string progress_line(const ProgressView& view, int columns, bool fancy) {
  const double fraction =
      view.total > 0 ? static_cast<double>(view.done) / static_cast<double>(view.total) : 0;
  const std::string percent = formatted("%3.0f%%", std::floor(100 * fraction));
  std::string rate;
  if (view.per_second > 0) rate = "  " + format_rate(view.per_second) + ' ' + view.unit + "/s";
  std::string left;
  if (view.seconds_left >= 0) left = "  " + format_duration(view.seconds_left) + " left";
  const std::string detail = view.detail.empty() ? "" : "  " + view.detail;
  if (!fancy) return view.label + ' ' + percent + detail + rate + left;

  // A line that is too long loses first the detail, then the rate, then part of the bar or all of
  // it.
  std::string tail = ' ' + percent + detail + rate + left;
  const int room = columns - columns_of(view.label) - 1;
  if (room - columns_of(tail) < 8 + 2) tail = ' ' + percent + rate + left;
  if (room - columns_of(tail) < 8 + 2) tail = ' ' + percent + left;
  const int cells = std::min(kBarColumns, room - columns_of(tail) - 2);
  std::string line = view.label + (cells >= 4 ? ' ' + bar(fraction, cells) : "") + tail;
  if (columns_of(line) > columns) line = view.label + ' ' + percent;
  return columns_of(line) > columns ? percent : line;
}

int terminal_columns(std::FILE* stream) {
  constexpr int kUsual = 80;
  const char* const term = std::getenv("TERM");
  if (term == nullptr || std::string_view(term) == "dumb") return 0;
  if (isatty(fileno(stream)) == 1) {
    winsize size{};
    const bool told = ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return told ? size.ws_col : kUsual;
  }
  const char* const behind = std::getenv(kTerminalBehind);
  return stream == stderr && behind != nullptr ? std::atoi(behind) : 0;
}

ProgressDisplay::ProgressDisplay(std::FILE* stream)
    : stream_(stream), terminal_(terminal_columns(stream) > 0), last_(Clock::now()) {}

ProgressDisplay::~ProgressDisplay() {
  clear();
}

void ProgressDisplay::show(const ProgressView& view) {
  const Clock::time_point now = Clock::now();
  if (terminal_) {
    if (drawn_ && now - last_ < kRedraw) return;
    // One write (cursor to the start, text, erase the rest of the old line), so that nothing
    // flickers.
    put("\r" + progress_line(view, terminal_columns(stream_) - 1, true) + "\x1b[K");
    drawn_ = true;
  } else {
    if (now - last_ < kPlainInterval) return;
    put(progress_line(view, 0, false) + "\n");
  }
  last_ = now;
}

void ProgressDisplay::line(const std::string& text) {
  put((drawn_ ? "\r\x1b[K" : "") + text + "\n"), drawn_ = false;
}

void ProgressDisplay::clear() {
  if (drawn_) put("\r\x1b[K");
  drawn_ = false;
}

// A terminal that is held, or a pipe that nobody reads, must not keep a stop from being heard.
void ProgressDisplay::put(const std::string& text) const {
  pollfd room{.fd = fileno(stream_), .events = POLLOUT, .revents = 0};
  while (poll(&room, 1, kStopLook.count()) == 0) {
    if (stop_signal() != 0) return;
  }
  std::fwrite(text.data(), 1, text.size(), stream_);
  std::fflush(stream_);
}

void Pace::update(double done, double seconds) {
  if (last_done_ >= 0 && seconds > last_seconds_) {
    // A half-life of 20 s: long enough to be steady, short enough to follow a machine that slows
    // down.
    const double keep = std::exp2(-(seconds - last_seconds_) / 20);
    work_ = work_ * keep + (done - last_done_);
    weight_ = weight_ * keep + (seconds - last_seconds_);
  }
  last_done_ = done;
  last_seconds_ = seconds;
}

void ProgressBar::show(std::int64_t done, std::int64_t total, const std::string& detail) {
  pace_.update(static_cast<double>(done), stopwatch_.seconds());
  const double rate = pace_.per_second();
  progress_.show({.label = label_,
                  .done = done,
                  .total = total,
                  .detail = detail,
                  .per_second = rate,
                  .unit = unit_,
                  .seconds_left = rate > 0 ? static_cast<double>(total - done) / rate : -1});
}

}  // namespace invp
