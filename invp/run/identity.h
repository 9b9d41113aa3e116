// What decides the weights a run ends with. Every checkpoint holds it, and a run with another one
// is refused before it writes anything. Options say of themselves whether they belong here
// (tools/options/options.h); what they cannot say, such as which images the data set holds, is
// added by the command.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "data/sets/dataset.h"
#include "invp/run/run_metadata.h"

namespace invp {

struct IdentityEntry {
  std::string name;            ///< of the option, "lr", or in words, "training images"
  std::string value;           ///< equal exactly if the settings are
  std::string otherwise = {};  ///< of a checkpoint that does not have it: the option's default
  bool option = true;
};

struct RunIdentity {
  std::vector<IdentityEntry> entries;
  /// What checkpoints of version 1 hold under names that are no option's: "augmentation".
  std::map<std::string, std::string> version_1 = {};
  /// What else every checkpoint says, under these names of its metadata; not compared.
  Metadata facts = {};
  /// Why --epochs cannot be raised when a run is resumed; empty if it can, since the learning rates
  /// of the epochs already trained would have been the same.
  std::string epochs_fixed_by = {};
};

/// Which images the data set holds: their number, and the set's own identity.
IdentityEntry training_images(const Dataset& train);

/// What a checkpoint holds of it; empty where it does not tell one set from another: of version 1,
/// which only counted, or no checkpoint.
std::string stored_training_images(const Metadata& metadata);

/// Adds it to a checkpoint's metadata.
void write_identity(const RunIdentity& identity, Metadata& metadata);

/// Throws Error naming `origin`, the first setting that differs, its old and its new value.
/// More --epochs than before pass, unless identity.epochs_fixed_by says why not.
void check_identity(const Metadata& metadata, const RunIdentity& identity,
                    const std::string& origin);
/// The same for one setting that was `before`.
void check_entry(const IdentityEntry& entry, const std::string& before, const RunIdentity& identity,
                 const std::string& origin);
/// The number that the whole text is, if it is one.
std::optional<double> number_in(const std::string& text);

}  // namespace invp
