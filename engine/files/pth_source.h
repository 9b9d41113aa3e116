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
  bool swap_;
};

/// The tar form of torch before 0.2: the members "storages", "tensors" and "pickle".
std::unique_ptr<TensorSource> open_pth_tar(std::shared_ptr<FileReader> file);

}  // namespace invp
