#include "invp/run/version_1.h"

#include <algorithm>
#include <cmath>

#include "engine/core/error.h"

namespace invp {

namespace {

constexpr const char* kRun = "run.";

/// The words of today for the values that version 1 wrote in another way.
std::string value_of_today(const std::string& name, const std::string& value) {
  static const std::map<std::string, std::vector<std::string>> numbered = {
      {"ramp", {"binary", "gaussian", "none"}}, {"positives", {"hard", "easy", "all"}}};
  if (const auto words = numbered.find(name); words != numbered.end()) {
    const auto number = number_in(value);
    if (number && *number >= 0 && *number < static_cast<double>(words->second.size()))
      return words->second[static_cast<std::size_t>(*number)];
  }
  if (value == "yes") return "true";
  if (value == "no") return "false";
  if (name == "precision" && value == "f32") return "fp32";
  std::string text = value;  // "15 20 25 " of milestones
  while (text.ends_with(' ')) text.pop_back();
  std::ranges::replace(text, ' ', ',');
  return text;
}

/// Version 1 wrote six digits of a number.
bool same_value(const std::string& before, const std::string& now) {
  if (before == now) return true;
  const auto a = number_in(before);
  const auto b = number_in(now);
  return a && b && std::abs(*a - *b) <= 1e-5 * std::max(std::abs(*a), std::abs(*b));
}

}  // namespace

std::string version_1_augmentation(const AugmentConfig& a) {
  return message(a.image_size, " px, framing ", static_cast<int>(a.framing), ", crop ",
                 a.crop_scale.low, "-", a.crop_scale.high, " ratio ", a.crop_ratio.low, "-",
                 a.crop_ratio.high, ", jitter ", a.jitter[0], ",", a.jitter[1], ",", a.jitter[2],
                 ",", a.jitter[3], " p ", a.jitter_prob, ", gray ", a.gray_prob, ", blur ",
                 a.blur_prob, " sigma ", a.blur_sigma.low, "-", a.blur_sigma.high, ", flip ",
                 a.flip_prob);
}

void check_version_1(const Metadata& metadata, const RunIdentity& identity,
                     const std::string& origin) {
  const auto check = [&](const IdentityEntry& entry) {
    const auto stored = metadata.find(kRun + entry.name);
    if (stored == metadata.end()) return;
    const std::string before = value_of_today(entry.name, stored->second);
    if (!same_value(before, entry.value)) check_entry(entry, before, identity, origin);
  };
  for (const IdentityEntry& entry : identity.entries) {
    if (entry.option && !identity.version_1.contains(entry.name)) check(entry);
  }
  for (const auto& [name, value] : identity.version_1) {
    const auto stored = metadata.find(kRun + name);
    CHECK(stored == metadata.end() || stored->second == value, origin, ": was trained with ", name,
          " '", stored == metadata.end() ? "" : stored->second, "', this run has ", name, " '",
          value, "'; give the same options, or another --out");
  }
}

}  // namespace invp
