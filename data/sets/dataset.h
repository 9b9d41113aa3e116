// A labelled set of pictures: where they are is the business of the classes behind this one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "data/images/image.h"

namespace invp {

/// One picture on its way to the network: either the bytes of its file, so that only the rows a
/// crop needs are decoded, or its pixels. Reused from picture to picture, its storage is allocated
/// once.
struct Sample {
  std::span<const std::uint8_t> encoded;  ///< into the data set, or `file`; empty: see `pixels`
  ImageView pixels;                       ///< into the data set, or into `drawn`
  std::vector<std::uint8_t> file;         ///< storage for files that are read on demand
  Image drawn;                            ///< storage for pictures that are made on demand
  Image whole;                            ///< of pictures cut from larger ones: the larger one
  std::int64_t whole_index = -1;          ///< its number, in the set that cuts

  bool is_encoded() const { return !encoded.empty(); }
};

/// A picture that cannot be read, and why.
struct BadImage {
  std::string file;
  std::string reason;
};

/// Whether a picture of a multi-label set shows a class.
enum class Presence : std::uint8_t {
  kAbsent,
  kPresent,
  kUnclear,  ///< neither trained on nor counted
};

/// Immutable once made: every method may be called from many threads at once.
class Dataset {
 public:
  virtual ~Dataset() = default;
  Dataset(const Dataset&) = delete;
  Dataset& operator=(const Dataset&) = delete;

  /// "imagefolder", "cifar10", ...
  const std::string& kind() const { return kind_; }
  /// The kind of the set that a pack was made from; of any other its own.
  virtual const std::string& origin() const { return kind_; }
  std::int64_t size() const { return std::ssize(labels_); }
  /// In [0, classes().size()).
  std::int64_t label(std::int64_t index) const { return labels_[static_cast<std::size_t>(index)]; }
  const std::vector<std::string>& classes() const { return classes_; }
  /// Of multi-label sets, one entry a class, and label() is the first class present; else empty.
  virtual std::span<const Presence> presences(std::int64_t /*index*/) const { return {}; }

  /// What to call the picture in errors and lists: its path, or "test.bin[17]".
  virtual std::string name(std::int64_t index) const = 0;
  /// Throws Error naming the picture when it cannot be read.
  virtual void fetch(std::int64_t index, Sample& sample) const = 0;

  /// The whole picture, decoded.
  Image load(std::int64_t index) const;
  /// Throws Error when anything is wrong with the picture: it is decoded, and where the set keeps
  /// checksums they are compared.
  virtual void check(std::int64_t index) const { load(index); }
  /// What has been done to the pictures since they were taken, in words; empty: nothing known.
  virtual std::string storage() const { return {}; }

 protected:
  Dataset(std::string kind, std::vector<std::int32_t> labels, std::vector<std::string> classes)
      : kind_(std::move(kind)), labels_(std::move(labels)), classes_(std::move(classes)) {}

 private:
  std::string kind_;
  std::vector<std::int32_t> labels_;
  std::vector<std::string> classes_;
};

/// Pictures in files of their own, read when they are wanted.
class FileDataset : public Dataset {
 public:
  /// `paths` are relative to `root`, one a label.
  FileDataset(std::string kind, std::filesystem::path root, std::vector<std::string> paths,
              std::vector<std::int32_t> labels, std::vector<std::string> classes);

  std::string name(std::int64_t index) const override;
  void fetch(std::int64_t index, Sample& sample) const override;

 private:
  std::filesystem::path root_;
  std::vector<std::string> paths_;
};

/// Small pictures of one size, all in memory.
class PixelDataset : public Dataset {
 public:
  /// Where a run of pictures came from, for their names.
  struct Source {
    std::string file;
    std::int64_t count = 0;
  };
  /// `pixels` holds the pictures one after another as interleaved RGB rows.
  PixelDataset(std::string kind, int width, int height, std::vector<std::uint8_t> pixels,
               std::vector<Source> sources, std::vector<std::int32_t> labels,
               std::vector<std::string> classes);

  std::string name(std::int64_t index) const override;
  void fetch(std::int64_t index, Sample& sample) const override;

 private:
  int width_, height_;
  std::vector<std::uint8_t> pixels_;
  std::vector<Source> sources_;
};

/// "0", "1", ...: the classes of sets that name none.
std::vector<std::string> numbered_classes(std::int64_t count);

}  // namespace invp
