// The metadata of checkpoints: numbers kept to the bit, and which kind of file it is.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "engine/files/tensor_file.h"

namespace invp {

using Metadata = std::map<std::string, std::string>;

/// Of a file that is a checkpoint of ours, its kind: "invp-checkpoint-2", or
/// "invp-pretraining-checkpoint-1" and "invp-supervised-checkpoint-1" of earlier versions. Else
/// empty.
std::string checkpoint_kind(const Metadata& metadata);
/// 2, or 1 of earlier versions; 0: no checkpoint.
int checkpoint_version(const Metadata& metadata);

/// The hexadecimal digits of a double's bits: exact, and independent of locale.
std::string exact_text(double value);

/// Reads back numbers under a prefix. Throws Error naming `origin` and the key that is missing, no
/// number, or out of its range.
class MetadataReader {
 public:
  MetadataReader(const Metadata& metadata, std::string prefix, std::string origin);

  bool has(const std::string& key) const { return metadata_.contains(prefix_ + key); }
  std::int64_t integer(const std::string& key, std::int64_t low, std::int64_t high) const;
  /// From 0 on.
  std::int64_t count(const std::string& key) const;
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
