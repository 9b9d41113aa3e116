// What the checkpoints of every kind of run share: numbers kept to the bit among the metadata, and
// what a run was started with.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "engine/files/tensor_file.h"

namespace invp {

/// What must agree between a checkpoint and the run that goes on from it: "seed" -> "0", "arch" ->
/// "resnet50", ...
using RunIdentity = std::map<std::string, std::string>;
using Metadata = std::map<std::string, std::string>;

/// Of a file that is a checkpoint of ours, what wrote it: "invp-pretraining-checkpoint-1"; else
/// empty.
std::string checkpoint_kind(const Metadata& metadata);

void write_identity(const RunIdentity& identity, Metadata& metadata);
/// Throws Error naming `origin` and the first setting that differs.
void check_identity(const Metadata& metadata, const RunIdentity& identity,
                    const std::string& origin);

/// The hexadecimal digits of a double's bits: exact, and independent of locale.
std::string exact_text(double value);

/// Reads back numbers under a prefix. Throws Error naming `origin` and the key that is missing or
/// no number.
class MetadataReader {
 public:
  MetadataReader(const Metadata& metadata, std::string prefix, std::string origin);

  std::int64_t integer(const std::string& key) const;
  double real(const std::string& key) const;
  /// Of keys that files of earlier versions lack.
  double real_or_zero(const std::string& key) const;

 private:
  template <class T>
  T parse(const std::string& key, int base) const;

  const Metadata& metadata_;
  std::string prefix_;
  std::string origin_;
};

/// The tensors whose names begin with the prefix, without it.
TensorFile with_prefix(const TensorFile& file, std::string_view prefix);

}  // namespace invp
