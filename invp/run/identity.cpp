#include "invp/run/identity.h"

#include <charconv>

#include "engine/core/error.h"
#include "invp/run/version_1.h"

namespace invp {

namespace {

constexpr const char* kRun = "run.";
constexpr const char* kEpochs = "epochs";
constexpr const char* kTrainingImages = "training images";

bool more_epochs(const std::string& before, const std::string& now) {
  const auto a = number_in(before);
  const auto b = number_in(now);
  return a && b && *b > *a;
}

std::string described(const IdentityEntry& entry, const std::string& value) {
  return entry.option ? message("--", entry.name, ' ', value)
                      : message(entry.name, " '", value, "'");
}

}  // namespace

void check_entry(const IdentityEntry& entry, const std::string& before, const RunIdentity& identity,
                 const std::string& origin) {
  if (before == entry.value) return;
  if (entry.name == kEpochs && more_epochs(before, entry.value)) {
    CHECK(identity.epochs_fixed_by.empty(), origin, ": was trained with --epochs ", before,
          ", this run has --epochs ", entry.value, ": ", identity.epochs_fixed_by);
    return;
  }
  fail(origin, ": was trained with ", described(entry, before), ", this run has ",
       described(entry, entry.value), "; give the same ", entry.option ? "options" : "data",
       ", or another --out");
}

std::optional<double> number_in(const std::string& text) {
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && rest == end ? std::optional(value) : std::nullopt;
}

IdentityEntry training_images(const Dataset& train) {
  return {.name = kTrainingImages,
          .value = message(train.size(), ", ", train.identity()),
          .option = false};
}

std::string stored_training_images(const Metadata& metadata) {
  if (checkpoint_version(metadata) != 2) return {};
  const auto stored = metadata.find(std::string(kRun) + kTrainingImages);
  return stored == metadata.end() ? std::string() : stored->second;
}

void write_identity(const RunIdentity& identity, Metadata& metadata) {
  for (const IdentityEntry& entry : identity.entries) metadata[kRun + entry.name] = entry.value;
  for (const auto& [name, value] : identity.facts) metadata[name] = value;
}

void check_identity(const Metadata& metadata, const RunIdentity& identity,
                    const std::string& origin) {
  if (checkpoint_version(metadata) == 1) return check_version_1(metadata, identity, origin);
  for (const IdentityEntry& entry : identity.entries) {
    const auto stored = metadata.find(kRun + entry.name);
    check_entry(entry, stored == metadata.end() ? entry.otherwise : stored->second, identity,
                origin);
  }
}

}  // namespace invp
