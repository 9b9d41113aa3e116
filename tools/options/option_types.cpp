// One function per kind of option: how its text becomes a value, and the complaint if it cannot.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <string_view>

#include "engine/core/error.h"
#include "engine/core/text.h"
#include "tools/options/options.h"

namespace invp::cli {

namespace {

std::string describe(Bounds bounds) {
  const bool low = std::isfinite(bounds.low);
  const bool high = std::isfinite(bounds.high);
  if (low && high) {
    return message(bounds.above ? "above " : "from ", format_number(bounds.low),
                   bounds.above ? ", at most " : " to ", format_number(bounds.high));
  }
  if (low) return message(bounds.above ? "above " : "at least ", format_number(bounds.low));
  if (high) return message("at most ", format_number(bounds.high));
  return "finite";
}

void check(double value, Bounds bounds, const std::string& text) {
  const bool low_enough = value <= bounds.high;
  const bool high_enough = bounds.above ? value > bounds.low : value >= bounds.low;
  if (!low_enough || !high_enough)
    throw UsageError(message("must be ", describe(bounds), ", got ", text));
}

/// The shortest digits that read back the same.
template <class Float>
std::string shortest(Float value) {
  const double size = std::abs(static_cast<double>(value));
  if (value == std::floor(value) && size < 1e15)
    return std::to_string(static_cast<long long>(value));
  char text[64];
  const bool fixed = size >= 1e-5 && size < 1e15;
  const auto written =
      fixed ? std::to_chars(text, text + sizeof text, value, std::chars_format::fixed)
            : std::to_chars(text, text + sizeof text, value);
  return {text, written.ptr};
}

template <class Value>
std::string text_of(Value value) {
  if constexpr (std::is_integral_v<Value>) {
    return std::to_string(value);
  } else {
    return shortest(value);
  }
}

template <class Value>
std::vector<std::string> texts_of(const std::vector<Value>& values) {
  std::vector<std::string> texts;
  for (const Value& value : values) texts.push_back(text_of(value));
  return texts;
}

template <class Value>
std::string shown(const std::vector<Value>& values) {
  std::string text;
  for (const std::string& item : texts_of(values)) text += (text.empty() ? "" : ",") + item;
  return text;
}

}  // namespace

std::string format_number(double value) {
  return shortest(value);
}

std::string format_number(float value) {
  return shortest(value);
}

double parse_number(const std::string& text) {
  double value = 0;
  const char* begin = text.data() + (text.starts_with('+') ? 1 : 0);
  const auto result = std::from_chars(begin, text.data() + text.size(), value);
  if (text.empty() || result.ec != std::errc() || result.ptr != text.data() + text.size() ||
      !std::isfinite(value)) {
    throw UsageError(message("must be a number, got '", text, "'"));
  }
  return value;
}

std::int64_t parse_integer(const std::string& text) {
  std::int64_t value = 0;
  const char* begin = text.data() + (text.starts_with('+') ? 1 : 0);
  const auto result = std::from_chars(begin, text.data() + text.size(), value);
  if (text.empty() || result.ec != std::errc() || result.ptr != text.data() + text.size()) {
    throw UsageError(message("must be a whole number, got '", text, "'"));
  }
  return value;
}

std::int64_t parse_count(const std::string& text) {
  const auto refuse = [&] {
    throw UsageError(
        message("must be a whole number such as 1280000, 1.28M or 1e9, got '", text, "'"));
  };
  constexpr std::string_view kSuffixes = "kMG";
  const std::size_t suffix = text.empty() ? std::string::npos : kSuffixes.find(text.back());
  const bool shortened = suffix != std::string::npos;
  double value = 0;
  try {
    value = parse_number(shortened ? text.substr(0, text.size() - 1) : text);
  } catch (const UsageError&) {
    refuse();
  }
  for (std::size_t i = 0; shortened && i <= suffix; ++i) value *= 1000;
  // Beyond 2^53 not every whole number is there.
  const double whole = std::round(value);
  if (std::abs(whole) > 9007199254740992.0 || std::abs(value - whole) > 1e-12 * std::abs(whole))
    refuse();
  return static_cast<std::int64_t>(whole);
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == separator) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

Options& Options::flag(std::string name, bool& value, std::string help) {
  Spec& spec = add(std::move(name), "", std::move(help));
  spec.set = [&value](const std::string& text) {
    if (text != "true" && text != "false")
      throw UsageError(message("must be true or false, got '", text, "'"));
    value = text == "true";
  };
  spec.values = [&value] { return std::vector<std::string>{value ? "true" : "false"}; };
  return *this;
}

Options& Options::count(std::string name, std::int64_t& value, Bounds bounds, std::string help) {
  integer(std::move(name), value, bounds, std::move(help));
  specs_.back().set = [&value, bounds](const std::string& text) {
    const std::int64_t parsed = parse_count(text);
    check(static_cast<double>(parsed), bounds, text);
    value = parsed;
  };
  return *this;
}

template <class Value>
Options& Options::add_number(std::string name, Value& value, Bounds bounds, std::string help) {
  constexpr bool kWhole = std::is_integral_v<Value>;
  if constexpr (std::is_same_v<Value, int>) {
    bounds.low = std::max<double>(bounds.low, std::numeric_limits<int>::min());
    bounds.high = std::min<double>(bounds.high, std::numeric_limits<int>::max());
  }
  Spec& spec = add(std::move(name), kWhole ? "N" : "X", std::move(help));
  spec.default_text = text_of(value);
  spec.set = [&value, bounds](const std::string& text) {
    const auto parsed = [&] {
      if constexpr (kWhole)
        return parse_integer(text);
      else
        return parse_number(text);
    }();
    check(static_cast<double>(parsed), bounds, text);
    value = static_cast<Value>(parsed);
  };
  spec.values = [&value] { return std::vector{text_of(value)}; };
  return *this;
}

Options& Options::integer(std::string name, std::int64_t& value, Bounds bounds, std::string help) {
  return add_number(std::move(name), value, bounds, std::move(help));
}
Options& Options::integer(std::string name, int& value, Bounds bounds, std::string help) {
  return add_number(std::move(name), value, bounds, std::move(help));
}
Options& Options::number(std::string name, double& value, Bounds bounds, std::string help) {
  return add_number(std::move(name), value, bounds, std::move(help));
}
Options& Options::number(std::string name, float& value, Bounds bounds, std::string help) {
  return add_number(std::move(name), value, bounds, std::move(help));
}

Options& Options::text(std::string name, std::string& value, std::string value_name,
                       std::string help) {
  Spec& spec = add(std::move(name), std::move(value_name), std::move(help));
  spec.default_text = value;
  spec.set = [&value](const std::string& given) {
    if (given.empty()) throw UsageError("needs a value, got an empty one");
    value = given;
  };
  spec.quoted = true;
  spec.values = [&value] {
    return value.empty() ? std::vector<std::string>{} : std::vector{value};
  };
  return *this;
}

Options& Options::add_choice(std::string name, std::vector<std::string> choices, std::string help,
                             std::function<void(std::size_t)> set,
                             std::function<std::size_t()> get) {
  Spec& spec = add(std::move(name), "NAME", std::move(help));
  spec.choices = choices;
  spec.default_text = choices[get()];
  spec.set = [choices, set](const std::string& text) {
    const auto found = std::find(choices.begin(), choices.end(), text);
    if (found == choices.end()) {
      throw UsageError(message("has no choice '", text, "'; did you mean ", nearest(text, choices),
                               "? (", join_choices(choices), ")"));
    }
    set(static_cast<std::size_t>(found - choices.begin()));
  };
  spec.quoted = true;
  spec.values = [choices, get] { return std::vector{choices[get()]}; };
  return *this;
}

Options& Options::choice(std::string name, std::string& value, std::vector<std::string> choices,
                         std::string help) {
  const auto index = [&value, choices] {
    return static_cast<std::size_t>(std::find(choices.begin(), choices.end(), value) -
                                    choices.begin());
  };
  return add_choice(
      std::move(name), choices, std::move(help),
      [&value, choices](std::size_t i) { value = choices[i]; }, index);
}

Options& Options::numbers(std::string name, std::vector<double>& value, std::size_t count,
                          Bounds bounds, std::string help) {
  std::string value_name = count == 0 ? "X,X" : "X";
  for (std::size_t i = 1; i < count; ++i) value_name += ",X";
  Spec& spec = add(std::move(name), value_name, std::move(help));
  spec.default_text = shown(value);
  spec.set = [&value, count, bounds](const std::string& text) {
    const std::vector<std::string> parts = split(text, ',');
    if (count > 0 && parts.size() != count)
      throw UsageError(message("needs ", count, " numbers between commas, got '", text, "'"));
    std::vector<double> parsed;
    for (const std::string& part : parts) {
      parsed.push_back(parse_number(part));
      check(parsed.back(), bounds, part);
    }
    value = parsed;
  };
  spec.list = true;
  spec.values = [&value] { return texts_of(value); };
  return *this;
}

Options& Options::integers(std::string name, std::vector<std::int64_t>& value, Bounds bounds,
                           std::string help) {
  Spec& spec = add(std::move(name), "N,N", std::move(help));
  spec.default_text = shown(value);
  spec.set = [&value, bounds](const std::string& text) {
    std::vector<std::int64_t> parsed;
    for (const std::string& part : split(text, ',')) {
      parsed.push_back(parse_integer(part));
      check(static_cast<double>(parsed.back()), bounds, part);
    }
    value = parsed;
  };
  spec.list = true;
  spec.values = [&value] { return texts_of(value); };
  return *this;
}

Options& Options::repeated(std::string name, std::vector<std::string>& value,
                           std::string value_name, std::string help) {
  Spec& spec = add(std::move(name), std::move(value_name), std::move(help));
  spec.repeats = true;
  spec.set = [&value](const std::string& text) { value.push_back(text); };
  spec.quoted = spec.list = true;
  spec.values = [&value] { return value; };
  return *this;
}

Options& Options::positional(std::string name, std::string& value, std::string help,
                             std::vector<std::string> values) {
  positionals_.push_back({});
  Spec& spec = positionals_.back();
  spec.name = std::move(name);
  spec.help = std::move(help);
  spec.choices = std::move(values);
  spec.set = [&value](const std::string& text) { value = text; };
  return *this;
}

Options& Options::positionals(std::string name, std::vector<std::string>& values,
                              std::string help) {
  positionals_.push_back({});
  Spec& spec = positionals_.back();
  spec.name = std::move(name);
  spec.help = std::move(help);
  spec.repeats = true;
  spec.set = [&values](const std::string& text) { values.push_back(text); };
  return *this;
}

}  // namespace invp::cli
