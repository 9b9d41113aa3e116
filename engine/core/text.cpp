#include "engine/core/text.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstdio>

#include "engine/core/error.h"

namespace invp {

namespace {

char lower(char c) {
  return static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
}

// A word that is part of the candidate ("epoch" of "epochs") counts as closer than its missing
// letters would make it.
double difference(std::string_view word, const std::string& candidate) {
  const double distance = edit_distance(word, candidate);
  if (!word.empty() && candidate.starts_with(word)) return std::min(distance, 1.0) + distance / 100;
  if (word.size() >= 3 && candidate.find(word) != std::string::npos)
    return std::min(distance, 2.0) + distance / 100;
  return distance;
}

/// The bytes of the character that the text begins with; 0 if it is no UTF-8.
std::size_t utf8_character(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  if (first < 0x80) return 1;
  const std::size_t size = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < size) return 0;
  const auto is_tail = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; };
  if (!std::all_of(text.begin() + 1, text.begin() + static_cast<std::ptrdiff_t>(size), is_tail))
    return 0;
  const auto second = static_cast<unsigned char>(text[1]);  // overlong forms and surrogates
  const bool odd = (first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) ||
                   (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F);
  return odd ? 0 : size;
}

}  // namespace

std::string formatted(const char* format, double value) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}

std::string fixed(double value, int digits) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.*f", digits, value);
  return text.data();
}

std::string format_bytes(std::int64_t bytes) {
  constexpr std::array kUnits = {"B", "KB", "MB", "GB", "TB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (std::abs(value) >= 1000 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  return formatted(unit == 0 ? "%.0f " : "%.2f ", value) + kUnits[unit];
}

std::string format_duration(double seconds) {
  if (seconds < 9.95) return formatted("%.1f s", std::max(0.0, seconds));
  const auto whole = static_cast<long long>(std::llround(seconds));
  if (whole < 60) return std::to_string(whole) + " s";
  const auto two_digits = [](long long value) {
    return (value < 10 ? ":0" : ":") + std::to_string(value);
  };
  if (whole < 3600) return std::to_string(whole / 60) + two_digits(whole % 60);
  return std::to_string(whole / 3600) + two_digits(whole / 60 % 60) + two_digits(whole % 60);
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

std::string counted(std::int64_t count, std::string_view noun) {
  return message(count, ' ', noun, count == 1 ? "" : "s");
}

// Bytes that do not continue a UTF-8 character.
std::string printable(std::string_view text) {
  std::string shown;
  const auto escape = [&](unsigned char c) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    ((shown += "\\x") += kDigits[c >> 4]) += kDigits[c & 15];
  };
  while (!text.empty()) {
    const std::size_t size = utf8_character(text);
    const auto first = static_cast<unsigned char>(text[0]);
    const bool control = first < 0x20 || first == 0x7F ||
                         (first == 0xC2 && size == 2 && static_cast<unsigned char>(text[1]) < 0xA0);
    for (const char c : text.substr(0, std::max<std::size_t>(size, 1))) {
      if (control || size == 0) {
        escape(static_cast<unsigned char>(c));
      } else {
        shown += c;
      }
    }
    text.remove_prefix(std::max<std::size_t>(size, 1));
  }
  return shown;
}

int columns_of(std::string_view text) {
  return static_cast<int>(std::ranges::count_if(text, [](char c) { return (c & 0xC0) != 0x80; }));
}

int edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<int>> cost(a.size() + 1, std::vector<int>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) cost[i][0] = static_cast<int>(i);
  for (std::size_t j = 0; j <= b.size(); ++j) cost[0][j] = static_cast<int>(j);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const bool same = lower(a[i - 1]) == lower(b[j - 1]);
      cost[i][j] =
          std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, cost[i - 1][j - 1] + (same ? 0 : 1)});
      if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
          lower(a[i - 2]) == lower(b[j - 1])) {
        cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
      }
    }
  }
  return cost[a.size()][b.size()];
}

std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
  const auto best = std::min_element(candidates.begin(), candidates.end(),
                                     [&](const std::string& a, const std::string& b) {
                                       return difference(word, a) < difference(word, b);
                                     });
  return best == candidates.end() ? std::string() : *best;
}

std::string join_choices(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    text += (i == 0 ? "" : i + 1 == names.size() ? " or " : ", ") + names[i];
  }
  return text;
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

}  // namespace invp
