#include "invp/report/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string_view>

namespace invp {

namespace {

constexpr int kBarColumns = 24;
constexpr auto kRedraw = std::chrono::milliseconds(100);
constexpr auto kPlainInterval = std::chrono::seconds(30);

std::string formatted(const char* format, double value) {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

// Columns on screen: bytes that do not continue a UTF-8 character.
int width_of(std::string_view text) {
  return static_cast<int>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

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

std::string format_duration(double seconds) {
  if (seconds < 9.95) return formatted("%.1f s", std::max(0.0, seconds));
  const auto whole = static_cast<long long>(std::llround(seconds));
  if (whole < 60) return std::to_string(whole) + " s";
  char text[64];
  if (whole < 3600) {
    std::snprintf(text, sizeof text, "%lld:%02lld", whole / 60, whole % 60);
  } else {
    std::snprintf(text, sizeof text, "%lld:%02lld:%02lld", whole / 3600, whole / 60 % 60,
                  whole % 60);
  }
  return text;
}

std::string format_rate(double per_second) {
  if (per_second < 9.995) return formatted("%.2f", per_second);
  if (per_second < 99.95) return formatted("%.1f", per_second);
  std::string text = formatted("%.0f", per_second);
  for (std::size_t at = text.size(); at > 3;) {
    at -= 3;
    text.insert(at, 1, ',');
  }
  return text;
}

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

  // What does not fit goes: first the detail, then the rate, then the bar, which may also shrink.
  std::string tail = ' ' + percent + detail + rate + left;
  const int room = columns - width_of(view.label) - 1;
  if (room - width_of(tail) < 8 + 2) tail = ' ' + percent + rate + left;
  if (room - width_of(tail) < 8 + 2) tail = ' ' + percent + left;
  const int cells = std::min(kBarColumns, room - width_of(tail) - 2);
  std::string line = view.label + (cells >= 4 ? ' ' + bar(fraction, cells) : "") + tail;
  if (width_of(line) > columns) line = view.label + ' ' + percent;
  return width_of(line) > columns ? percent : line;
}

Progress::Progress(std::FILE* stream) : stream_(stream), last_(Clock::now()) {
  const char* term = std::getenv("TERM");
  terminal_ = isatty(fileno(stream)) == 1 && term != nullptr && std::string_view(term) != "dumb";
}

Progress::~Progress() {
  clear();
}

void Progress::show(const ProgressView& view) {
  const Clock::time_point now = Clock::now();
  if (terminal_) {
    if (drawn_ && now - last_ < kRedraw) return;
    // One write, cursor to the start, text, erase what is left of the old line: nothing flickers.
    put("\r" + progress_line(view, columns() - 1, true) + "\x1b[K");
    drawn_ = true;
  } else {
    if (now - last_ < kPlainInterval) return;
    put(progress_line(view, 0, false) + "\n");
  }
  last_ = now;
}

void Progress::line(const std::string& text) {
  put((drawn_ ? "\r\x1b[K" : "") + text + "\n"), drawn_ = false;
}

void Progress::clear() {
  if (drawn_) put("\r\x1b[K");
  drawn_ = false;
}

void Progress::put(const std::string& text) const {
  std::fwrite(text.data(), 1, text.size(), stream_);
  std::fflush(stream_);
}

int Progress::columns() const {
  winsize size{};
  if (ioctl(fileno(stream_), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
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
