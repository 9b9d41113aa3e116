// A checkpoint's tensors over whatever keeps their storages (used by the readers of the three forms
// alone).
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/files/pth_tensors.h"

namespace invp {

/// The elements of storages, as the file holds them.
class PthStorages {
 public:
  virtual ~PthStorages() = default;
  /// Throws Error naming the storage where the file does not hold all of it.
  virtual void check(const StorageReference& storage) const = 0;
  /// Bytes [begin, begin + to.size()) of a storage that was checked. Throws Error naming it where
  /// they cannot be read.
  virtual void read(const StorageReference& storage, std::uint64_t begin,
                    std::span<std::byte> to) = 0;
};

/// Storages that lie in the file as they are.
class FileStorages : public PthStorages {
 public:
  struct Place {
    std::uint64_t begin = 0;  ///< in the file
    std::uint64_t bytes = 0;
  };
  using Places = std::unordered_map<std::string, Place>;
  FileStorages(std::shared_ptr<FileReader> file, Places places)
      : file_(std::move(file)), places_(std::move(places)) {}

  void check(const StorageReference& storage) const override;
  void read(const StorageReference& storage, std::uint64_t begin, std::span<std::byte> to) override;

 private:
  std::shared_ptr<FileReader> file_;
  Places places_;
};

/// Bytes that may be read beside those of the tensors themselves: those between the elements of a
/// view, and those of a storage that must be unpacked anew for each of its views. Without an end,
/// a small file of many views would be read for hours.
class ReadAllowance {
 public:
  ReadAllowance(std::string file, std::uint64_t contents)
      : file_(std::move(file)), left_(8 * contents + (std::uint64_t{1} << 30)) {}
  /// Throws Error when they are used up.
  void spend(std::uint64_t bytes) {
    CHECK(bytes <= left_, file_, ": its tensors are spread over storages so that most of what is ",
          "read is not theirs; load it with torch and save it again");
    left_ -= bytes;
  }

 private:
  std::string file_;
  std::uint64_t left_;
};

class PthSource : public TensorSource {
 public:
  /// `swap`: the elements are big-endian. `contents`: the bytes of all storages. `checksums`: the
  /// storages are compared with some as they are read.
  PthSource(std::string path, PthTensors tensors, Pickle pickle,
            std::unique_ptr<PthStorages> storages, bool swap, std::uint64_t contents,
            bool checksums = false);

  void read(std::size_t index, std::span<std::byte> to) const override;

 private:
  void read_view(const TensorView& view, std::span<std::byte> to) const;

  std::vector<PthPlace> places_;
  Pickle pickle_;  ///< which the arrays among the places are views of
  std::unique_ptr<PthStorages> storages_;
  mutable ReadAllowance allowance_;
  bool swap_;
};

/// The tar form of torch before 0.2: the members "storages", "tensors" and "pickle".
std::unique_ptr<TensorSource> open_pth_tar(std::shared_ptr<FileReader> file);

}  // namespace invp
