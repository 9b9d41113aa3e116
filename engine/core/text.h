// Numbers and names as text, for messages, tables and reports.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace invp {

/// printf of one number: formatted("%.2f %%", 41.5).
std::string formatted(const char* format, double value);
/// With `digits` digits after the point.
std::string fixed(double value, int digits = 1);

/// "1.25 GB"
std::string format_bytes(std::int64_t bytes);
/// "0.4 s", "14 s", "3:07", "2:05:33"
std::string format_duration(double seconds);
/// "712", "7.24", "1,234": three figures, thousands apart
std::string format_rate(double per_second);
/// "1 image", "12 images".
std::string counted(std::int64_t count, std::string_view noun);

/// Text from a file, made safe for a terminal: control characters, those of C1 too, and bytes that
/// are no UTF-8 are written as "\x1b".
std::string printable(std::string_view text);

/// How many columns UTF-8 text takes on a terminal.
int columns_of(std::string_view text);

/// Insertions, deletions, substitutions and swaps of neighbors that turn one word into the other
/// (optimal string alignment), letter case aside.
int edit_distance(std::string_view a, std::string_view b);
/// The candidate closest to `word`, for "did you mean"; empty if there are none.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

/// "a, b or c"
std::string join_choices(const std::vector<std::string>& names);
/// "a, b, c"
std::string joined(const std::vector<std::string>& names);

}  // namespace invp
