// A set of images, with labels or without. Derived classes know where the images are.
#pragma once

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "data/images/image.h"
#include "engine/core/hash.h"

namespace invp {

/// One image as the set hands it out: the bytes of its file, so that only the rows of a crop need
/// be decoded, or its pixels. Reuse it from image to image: its storage is then allocated once.
struct Sample {
  std::span<const std::uint8_t> encoded;  ///< into the data set, or `file`; empty: see `pixels`
  ImageView pixels;                       ///< into the data set, or into `drawn`
  std::vector<std::uint8_t> file;         ///< storage for a file that was read
  Image drawn;                            ///< storage for an image that was made
  Image whole;                            ///< the image that TenCrops cuts crops from
  std::int64_t whole_index = -1;          ///< its index

  bool is_encoded() const { return !encoded.empty(); }
};

/// An image that cannot be read, and why.
struct BadImage {
  std::string file;
  std::string reason;
};

/// Does an image of a multi-label set show a class?
enum class Presence : std::uint8_t {
  kAbsent,
  kPresent,
  kUnclear,  ///< neither trained on nor counted
};

/// Immutable: every method may be called by many threads at once. Those that take an index throw
/// Error for one that is not in [0, size()).
class Dataset {
 public:
  virtual ~Dataset() = default;
  Dataset(const Dataset&) = delete;
  Dataset& operator=(const Dataset&) = delete;

  /// "imagefolder", "cifar10", ...
  const std::string& kind() const { return kind_; }
  /// For a pack, the kind of the set that it was made from; for other sets, kind().
  virtual const std::string& origin() const { return kind_; }
  std::int64_t size() const { return std::ssize(labels_); }
  /// Is each image of a class? If not, classes() is empty and every label -1.
  bool has_labels() const { return !classes_.empty(); }
  /// In [0, classes().size()), or -1.
  std::int64_t label(std::int64_t index) const { return labels_[place(index)]; }
  const std::vector<std::string>& classes() const { return classes_; }
  /// For multi-label sets one entry per class; label() is then the first class present. Otherwise
  /// empty.
  virtual std::span<const Presence> presences(std::int64_t /*index*/) const { return {}; }

  /// The image's name in errors and lists: its path, or "test.bin[17]".
  virtual std::string name(std::int64_t index) const = 0;
  /// Throws Error naming the image if it cannot be read, SystemError (engine/files/file_reader.h)
  /// if the machine is at fault.
  virtual void fetch(std::int64_t index, Sample& sample) const = 0;

  /// The whole image, decoded.
  Image load(std::int64_t index) const;
  /// Decodes the image and, if the set has checksums, compares them. Throws Error for a bad image.
  virtual void check(std::int64_t index) const { load(index); }
  /// How the images were changed when the set was made, in words; empty if that is not known.
  virtual std::string storage() const { return {}; }
  /// What lies among the images and was not taken, in words; empty if nothing.
  virtual std::string left_out() const { return {}; }
  /// Why there are no labels and how to give them, in words; empty if there are some.
  virtual std::string why_no_labels() const { return {}; }

  /// 16 hexadecimal digits that differ if the images, their order, labels or classes do, as far as
  /// add_content looks. They do not depend on where the set lies or on modification times. The
  /// first call computes them: 2 us of CPU time per file of a FileDataset (measured with 200,000
  /// files that the system had in memory), 3 ns per byte of a PixelDataset.
  const std::string& identity() const;

 protected:
  Dataset(std::string kind, std::vector<std::int32_t> labels, std::vector<std::string> classes)
      : kind_(std::move(kind)), labels_(std::move(labels)), classes_(std::move(classes)) {}

  /// The index, for what holds one thing per image. Throws Error for one that is no image's.
  std::size_t place(std::int64_t index) const {
    if (index < 0 || index >= size()) [[unlikely]]
      no_image(index);
    return static_cast<std::size_t>(index);
  }
  [[noreturn]] void no_image(std::int64_t index) const;

  /// Adds what the identity depends on beside labels, classes and presences. By default the images'
  /// names, which suits sets that are made in memory and named after what they are.
  virtual void add_content(Hash& hash) const;

 private:
  std::string kind_;
  std::vector<std::int32_t> labels_;
  std::vector<std::string> classes_;
  mutable std::once_flag identified_;
  mutable std::string identity_;
};

/// What a set of files says of itself beside its images: Dataset's functions of these names.
struct FileNotes {
  std::string left_out;
  std::string why_no_labels;
};

/// Images in files of their own, read by fetch().
class FileDataset : public Dataset {
 public:
  /// `paths` are relative to `root`, one per label.
  FileDataset(std::string kind, std::filesystem::path root, std::vector<std::string> paths,
              std::vector<std::int32_t> labels, std::vector<std::string> classes,
              FileNotes notes = {});

  std::string name(std::int64_t index) const override;
  void fetch(std::int64_t index, Sample& sample) const override;
  std::string left_out() const override { return notes_.left_out; }
  std::string why_no_labels() const override { return notes_.why_no_labels; }

 protected:
  /// The paths below `root` and the sizes of the files. A file that is missing counts as having a
  /// size of its own. Throws SystemError where the system does not tell.
  void add_content(Hash& hash) const override;

 private:
  std::filesystem::path root_;
  std::vector<std::string> paths_;
  FileNotes notes_;
};

/// Small images of one size, all in memory.
class PixelDataset : public Dataset {
 public:
  /// The file that the next `count` images came from.
  struct Source {
    std::string file;
    std::int64_t count = 0;
  };
  /// `pixels` holds the images one after another as interleaved RGB rows.
  PixelDataset(std::string kind, int width, int height, std::vector<std::uint8_t> pixels,
               std::vector<Source> sources, std::vector<std::int32_t> labels,
               std::vector<std::string> classes);

  std::string name(std::int64_t index) const override;
  void fetch(std::int64_t index, Sample& sample) const override;

 protected:
  /// The size of the images, their pixels, and of each source the file's name and the count.
  void add_content(Hash& hash) const override;

 private:
  int width_, height_;
  std::vector<std::uint8_t> pixels_;
  std::vector<Source> sources_;
};

/// "0", "1", ...: the classes of a set without names.
std::vector<std::string> numbered_classes(std::int64_t count);

}  // namespace invp
