// One function a kind of option: how its text becomes a value, and what is said when it does not.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "engine/core/error.h"
#include "engine/core/text.h"
#include "tools/options/options.h"

namespace invp::cli {

namespace {

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out + '"';
}

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

template <class Value>
std::string join(const std::vector<Value>& values) {
  std::string text;
  for (const Value& value : values)
    text += (text.empty() ? "" : ",") + format_number(static_cast<double>(value));
  return text;
}

std::string toml_array(const std::string& joined) {
  return joined.empty() ? "" : "[" + joined + "]";
}

}  // namespace

std::string format_number(double value) {
  if (value == std::floor(value) && std::abs(value) < 1e15)
    return std::to_string(static_cast<long long>(value));
  char fixed[64];
  char shortest[64];
  const auto plain = std::to_chars(fixed, fixed + sizeof fixed, value, std::chars_format::fixed);
  const auto any = std::to_chars(shortest, shortest + sizeof shortest, value);
  if (std::abs(value) >= 1e-5 && plain.ec == std::errc()) return {fixed, plain.ptr};
  return {shortest, any.ptr};
}

double parse_number(const std::string& text) {
  double value = 0;
  const char* begin = text.data() + (text.starts_with('+') ? 1 : 0);
  const auto result = std::from_chars(begin, text.data() + text.size(), value);
  if (text.empty() || result.ec != std::errc() || result.ptr != text.data() + text.size() ||
      !std::isfinite(value)) {
    throw UsageError(message("wants a number, got '", text, "'"));
  }
  return value;
}

std::int64_t parse_integer(const std::string& text) {
  std::int64_t value = 0;
  const char* begin = text.data() + (text.starts_with('+') ? 1 : 0);
  const auto result = std::from_chars(begin, text.data() + text.size(), value);
  if (text.empty() || result.ec != std::errc() || result.ptr != text.data() + text.size()) {
    throw UsageError(message("wants a whole number, got '", text, "'"));
  }
  return value;
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
      throw UsageError(message("is a switch: true or false, got '", text, "'"));
    value = text == "true";
  };
  spec.toml = [&value] { return value ? "true" : "false"; };
  return *this;
}

Options& Options::integer(std::string name, std::int64_t& value, Bounds bounds, std::string help) {
  Spec& spec = add(std::move(name), "N", std::move(help));
  spec.default_text = std::to_string(value);
  spec.set = [&value, bounds](const std::string& text) {
    const std::int64_t parsed = parse_integer(text);
    check(static_cast<double>(parsed), bounds, text);
    value = parsed;
  };
  spec.toml = [&value] { return std::to_string(value); };
  return *this;
}

Options& Options::integer(std::string name, int& value, Bounds bounds, std::string help) {
  bounds.low = std::max<double>(bounds.low, std::numeric_limits<int>::min());
  bounds.high = std::min<double>(bounds.high, std::numeric_limits<int>::max());
  Spec& spec = add(std::move(name), "N", std::move(help));
  spec.default_text = std::to_string(value);
  spec.set = [&value, bounds](const std::string& text) {
    const std::int64_t parsed = parse_integer(text);
    check(static_cast<double>(parsed), bounds, text);
    value = static_cast<int>(parsed);
  };
  spec.toml = [&value] { return std::to_string(value); };
  return *this;
}

Options& Options::number(std::string name, double& value, Bounds bounds, std::string help) {
  Spec& spec = add(std::move(name), "X", std::move(help));
  spec.default_text = format_number(value);
  spec.set = [&value, bounds](const std::string& text) {
    const double parsed = parse_number(text);
    check(parsed, bounds, text);
    value = parsed;
  };
  spec.toml = [&value] { return format_number(value); };
  return *this;
}

Options& Options::number(std::string name, float& value, Bounds bounds, std::string help) {
  Spec& spec = add(std::move(name), "X", std::move(help));
  // A float shown with its own few digits, not with the double's tail.
  const auto shown = [](float number) {
    char text[32];
    std::snprintf(text, sizeof text, "%.7g", static_cast<double>(number));
    return format_number(std::strtod(text, nullptr));
  };
  spec.default_text = shown(value);
  spec.set = [&value, bounds](const std::string& text) {
    const double parsed = parse_number(text);
    check(parsed, bounds, text);
    value = static_cast<float>(parsed);
  };
  spec.toml = [&value, shown] { return shown(value); };
  return *this;
}

Options& Options::text(std::string name, std::string& value, std::string value_name,
                       std::string help) {
  Spec& spec = add(std::move(name), std::move(value_name), std::move(help));
  spec.default_text = value;
  spec.set = [&value](const std::string& given) {
    if (given.empty()) throw UsageError("wants a value, got an empty one");
    value = given;
  };
  spec.toml = [&value] { return value.empty() ? "" : quoted(value); };
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
  spec.toml = [choices, get] { return quoted(choices[get()]); };
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
  spec.default_text = join(value);
  spec.set = [&value, count, bounds](const std::string& text) {
    const std::vector<std::string> parts = split(text, ',');
    if (count > 0 && parts.size() != count)
      throw UsageError(message("wants ", count, " numbers between commas, got '", text, "'"));
    std::vector<double> parsed;
    for (const std::string& part : parts) {
      parsed.push_back(parse_number(part));
      check(parsed.back(), bounds, part);
    }
    value = parsed;
  };
  spec.toml = [&value] { return toml_array(join(value)); };
  return *this;
}

Options& Options::integers(std::string name, std::vector<std::int64_t>& value, Bounds bounds,
                           std::string help) {
  Spec& spec = add(std::move(name), "N,N", std::move(help));
  spec.default_text = join(value);
  spec.set = [&value, bounds](const std::string& text) {
    std::vector<std::int64_t> parsed;
    for (const std::string& part : split(text, ',')) {
      parsed.push_back(parse_integer(part));
      check(static_cast<double>(parsed.back()), bounds, part);
    }
    value = parsed;
  };
  spec.toml = [&value] { return toml_array(join(value)); };
  return *this;
}

Options& Options::repeated(std::string name, std::vector<std::string>& value,
                           std::string value_name, std::string help) {
  Spec& spec = add(std::move(name), std::move(value_name), std::move(help));
  spec.repeats = true;
  spec.set = [&value](const std::string& text) { value.push_back(text); };
  spec.toml = [&value] {
    std::string joined;
    for (const std::string& item : value) joined += (joined.empty() ? "" : ", ") + quoted(item);
    return toml_array(joined);
  };
  return *this;
}

Options& Options::positional(std::string name, std::string& value, std::string help) {
  positionals_.push_back({});
  Spec& spec = positionals_.back();
  spec.name = std::move(name);
  spec.help = std::move(help);
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
