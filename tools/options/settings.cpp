#include "tools/options/settings.h"

#include <algorithm>
#include <fstream>

#include "engine/core/error.h"
#include "engine/core/text.h"

// toml++ asserts of a text what a broken one does not have, such as a digit after "1979-05-27T",
// and a release build may take it for granted. A text must not end the program.
#undef NDEBUG
#define TOML_ASSERT(condition) ((condition) ? void() : ::invp::fail("a value is broken"))
#include <toml++/toml.h>

namespace invp::cli {

namespace {

std::string scalar(const toml::node& node, const std::string& where) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* integer = node.as_integer()) return std::to_string(integer->get());
  if (const auto* number = node.as_floating_point()) return format_number(number->get());
  if (const auto* flag = node.as_boolean()) return flag->get() ? "true" : "false";
  throw UsageError(message(where, " must be a number, a string, true, false or a list of these"));
}

/// The parser enters itself for each part of a name "a.b.c", which could exhaust the stack.
void refuse_deep_names(std::string_view toml, const std::string& source) {
  constexpr std::ptrdiff_t kMostDots = 1000;
  for (std::int64_t line = 1; !toml.empty(); ++line) {
    const std::string_view text = toml.substr(0, toml.find('\n'));
    if (std::ranges::count(text, '.') > kMostDots)
      throw UsageError(
          message(source, ":", line, ": not settings: a line of over ", kMostDots, " dots"));
    toml.remove_prefix(std::min(text.size() + 1, toml.size()));
  }
}

/// What a quoted text or a comment takes of the beginning of `toml`; 0 if it begins with neither.
std::size_t quoted_length(std::string_view toml) {
  const char quote = toml.front();
  if (quote == '#') return std::min(toml.find('\n'), toml.size());
  if (quote != '"' && quote != '\'') return 0;
  const bool lines = toml.starts_with(std::string(3, quote));
  for (std::size_t at = lines ? 3 : 1; at < toml.size(); ++at) {
    if (toml[at] == '\\' && quote == '"') {
      ++at;
    } else if (toml[at] == '\n' && !lines) {
      return at;
    } else if (toml[at] == quote) {
      const std::size_t end = std::min(toml.find_first_not_of(quote, at), toml.size());
      if (!lines) return at + 1;
      // The last two of five quotes belong to the text.
      if (end - at >= 3) return std::min(end, at + 5);
      at = end - 1;
    }
  }
  return toml.size();
}

/// toml++ 3.3 takes it for granted that names and values are ASCII where they are not quoted.
void refuse_foreign_letters(std::string_view toml, const std::string& source) {
  constexpr std::string_view kMark = "\xEF\xBB\xBF";
  std::size_t at = toml.starts_with(kMark) ? kMark.size() : 0;
  while (at < toml.size()) {
    if (const std::size_t quoted = quoted_length(toml.substr(at)); quoted > 0) {
      at += quoted;
    } else if (static_cast<unsigned char>(toml[at++]) >= 0x80) {
      const std::string_view before = toml.substr(0, at - 1);
      const std::size_t begin = before.rfind('\n') + 1;  // of the line; 0 where it is the first
      const auto letters = std::ranges::count_if(before.substr(begin), [](char c) {
        return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
      });
      throw UsageError(message(source, ":", 1 + std::ranges::count(before, '\n'),
                               ": not settings: column ", letters + 1,
                               ": a letter that is not ASCII; only texts in quotes may have some"));
    }
  }
}

/// A whole file, which may be a pipe: settings are short, and a device has no end.
std::string read_settings(std::istream& in, const std::string& file) {
  constexpr std::size_t kMost = std::size_t{1} << 20;
  std::string text(kMost + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > kMost)
    throw UsageError(message("--config ", file, ": longer than 1 MB, so these are no settings"));
  if (in.bad() || (text.empty() && !in.eof()))
    throw UsageError(message("--config ", file, ": cannot be read (is it there, is it a file?)"));
  return text;
}

}  // namespace

std::vector<Setting> parse_settings(std::string_view toml, const std::string& source) {
  refuse_deep_names(toml, source);
  refuse_foreign_letters(toml, source);
  toml::table table;
  try {
    table = toml::parse(toml, source);
  } catch (const toml::parse_error& error) {
    throw UsageError(
        message(source, ":", error.source().begin.line, ": not TOML: ", error.description()));
  } catch (const Error& error) {
    throw UsageError(message(source, ": not TOML: ", error.what()));
  }
  std::vector<std::pair<std::uint32_t, Setting>> found;
  for (const auto& [key, node] : table) {
    const std::uint32_t line = node.source().begin.line;
    Setting setting{std::string(key.str()), {}, message(source, ":", line)};
    const std::string where = message(setting.origin, ": ", setting.name);
    if (const auto* list = node.as_array()) {
      for (const toml::node& item : *list) setting.values.push_back(scalar(item, where));
    } else if (node.is_table()) {
      throw UsageError(message(setting.origin, ": settings stand without [", setting.name,
                               "] sections: name = value"));
    } else {
      setting.values.push_back(scalar(node, where));
    }
    found.emplace_back(line, std::move(setting));
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Setting> settings;
  for (auto& [line, setting] : found) settings.push_back(std::move(setting));
  return settings;
}

std::vector<Setting> config_settings(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  return parse_settings(read_settings(in, file), file);
}

std::string Preset::command() const {
  constexpr std::string_view kExample = "#   invp ";
  const std::size_t example = toml.find(kExample);
  CHECK(example != std::string_view::npos, "configs/", name, ".toml gives no example");
  const std::string_view words = toml.substr(example + kExample.size());
  return std::string(words.substr(0, words.find(" --")));
}

std::vector<std::string> presets_for(const std::string& command) {
  const auto of = [](const std::string& owner) {
    std::vector<std::string> names;
    for (const Preset& preset : presets()) {
      if (preset.command() == owner) names.emplace_back(preset.name);
    }
    return names;
  };
  const std::vector<std::string> own = of(command);
  return own.empty() ? of("pretrain") : own;
}

std::vector<Setting> preset_settings(const std::string& name, const std::string& command) {
  const std::vector<std::string> fitting = presets_for(command);
  for (const Preset& preset : presets()) {
    if (preset.name != name) continue;
    if (std::ranges::find(fitting, name) == fitting.end()) {
      throw UsageError(message("--preset ", name, " is for invp ", preset.command(), "; for invp ",
                               command, " there are ", joined(fitting)));
    }
    return parse_settings(preset.toml, "configs/" + name + ".toml");
  }
  throw UsageError(message("--preset has no choice '", name, "'; did you mean ",
                           nearest(name, fitting), "? (", join_choices(fitting), ")"));
}

}  // namespace invp::cli
