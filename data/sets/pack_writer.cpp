#include "data/sets/pack_writer.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <limits>
#include <span>
#include <string>
#include <utility>

#include "data/images/decode.h"
#include "data/images/encode.h"
#include "data/images/transform.h"
#include "data/sets/bad_images.h"
#include "data/sets/pack_format.h"
#include "engine/core/error.h"
#include "engine/core/parallel.h"
#include "engine/core/stop.h"
#include "engine/files/atomic_file.h"
#include "engine/files/checksum.h"
#include "engine/files/file_reader.h"

namespace invp {
namespace {

/// Images per thread between two writes: enough to even out their sizes.
constexpr std::int64_t kPerThread = 8;

struct Packed {
  std::vector<std::uint8_t> bytes;
  int width = 0, height = 0;
  bool copied = false, shrunk = false;
  std::string reason;  ///< why there is none
};

Packed pack_pixels(ImageView image, const PackOptions& options) {
  Packed packed;
  Image smaller;
  const int shorter = std::min(image.width, image.height);
  packed.shrunk = options.shorter > 0 && shorter > options.shorter;
  if (packed.shrunk) image = smaller = resize_shorter(image, options.shorter);
  packed.width = image.width;
  packed.height = image.height;
  packed.bytes = options.raw ? crop(image, {0, 0, image.width, image.height}).pixels
                             : encode_jpeg(image, {.quality = options.quality});
  return packed;
}

Packed pack_one(const Dataset& dataset, std::int64_t index, const PackOptions& options,
                Sample& sample) {
  dataset.fetch(index, sample);
  if (!sample.is_encoded()) return pack_pixels(sample.pixels, options);
  const std::string name = dataset.name(index);
  // Decoded even if the file is copied, so that every packed image is known to be good.
  const Image image = decode_image(sample.encoded, name);
  const bool small = options.shorter == 0 || std::min(image.width, image.height) <= options.shorter;
  if (options.raw || !small || read_image_info(sample.encoded, name).format != ImageFormat::kJpeg) {
    return pack_pixels(image, options);
  }
  return {.bytes = {sample.encoded.begin(), sample.encoded.end()},
          .width = image.width,
          .height = image.height,
          .copied = true,
          .reason = {}};
}

/// The name in the pack: relative to the root, so that it does not depend on where the set was.
std::string stored_name(const std::string& name, const std::filesystem::path& root) {
  std::string prefix = root.string();
  if (!prefix.empty() && prefix.back() != '/') prefix += '/';
  return !prefix.empty() && name.starts_with(prefix) ? name.substr(prefix.size()) : name;
}

class Writer {
 public:
  Writer(const Dataset& dataset, const std::filesystem::path& file, const PackOptions& options)
      : dataset_(dataset),
        options_(options),
        file_(file),
        bad_("[pack]", options.max_bad_share, dataset.size()) {
    append_string(dataset.kind());
    for (const std::string& name : dataset.classes()) append_string(name);
    header_.encoding = options.raw ? PackEncoding::kPixels : PackEncoding::kFiles;
    header_.classes = static_cast<std::uint32_t>(dataset.classes().size());
    file_.append(std::as_bytes(std::span(&header_, 1)));  // a place for it; finish() writes it
  }

  void add(std::int64_t index, const Packed& picture) {
    if (!picture.reason.empty()) {
      bad_.add(index, {dataset_.name(index), picture.reason});
      return;
    }
    CHECK(text_.size() <= std::numeric_limits<std::uint32_t>::max() &&
              picture.bytes.size() <= std::numeric_limits<std::uint32_t>::max(),
          dataset_.name(index), ": too many names, or too large a picture, for one pack");
    const std::span bytes = std::as_bytes(std::span(picture.bytes));
    records_.push_back({.offset = static_cast<std::uint64_t>(file_.bytes_written()),
                        .bytes = static_cast<std::uint32_t>(bytes.size()),
                        .crc = crc32(bytes),
                        .width = static_cast<std::uint32_t>(picture.width),
                        .height = static_cast<std::uint32_t>(picture.height),
                        .label = static_cast<std::uint32_t>(dataset_.label(index)),
                        .name = static_cast<std::uint32_t>(text_.size())});
    append_string(stored_name(dataset_.name(index), options_.root));
    std::ranges::copy(dataset_.presences(index), std::back_inserter(presences_));
    file_.append(bytes);
    report_.copied += picture.copied;
    report_.shrunk += picture.shrunk;
  }

  void check_bad_share() const { bad_.check(); }

  PackReport finish() {
    CHECK(!records_.empty(), "[pack] no image of ", dataset_.kind(), " could be read");
    const std::span records = std::as_bytes(std::span(records_));
    const std::span presences = std::as_bytes(std::span(presences_));
    const std::span text = std::as_bytes(std::span(text_));
    header_.presences = presences.empty() ? 0 : 1;
    header_.images = records_.size();
    const bool encoded = !options_.raw && report_.copied < std::ssize(records_);
    header_.shorter = static_cast<std::uint32_t>(report_.shrunk > 0 ? options_.shorter : 0);
    header_.quality = static_cast<std::uint32_t>(encoded ? options_.quality : 0);
    header_.index_offset = static_cast<std::uint64_t>(file_.bytes_written());
    header_.index_crc = crc32(text, crc32(presences, crc32(records)));
    file_.append(records);
    file_.append(presences);
    file_.append(text);
    header_.file_bytes = static_cast<std::uint64_t>(file_.bytes_written());
    const std::span header = std::as_bytes(std::span(&header_, 1));
    header_.header_crc = crc32(header.first(offsetof(PackHeader, header_crc)));
    file_.overwrite(0, header);
    file_.commit();
    report_.images = std::ssize(records_);
    report_.bytes = file_.bytes_written();
    report_.left_out = bad_.all();
    return std::move(report_);
  }

 private:
  void append_string(const std::string& text) {
    CHECK(text.find('\0') == std::string::npos, "[pack] a name with a zero byte: ", text);
    text_ += text;
    text_ += '\0';
  }

  const Dataset& dataset_;
  const PackOptions& options_;
  AtomicFile file_;
  PackHeader header_;
  std::vector<PackRecord> records_;
  std::vector<Presence> presences_;
  std::string text_;
  BadImages bad_;
  PackReport report_;
};

}  // namespace

PackReport write_pack(const Dataset& dataset, const std::filesystem::path& file,
                      const PackOptions& options,
                      const std::function<void(std::int64_t, std::int64_t)>& progress) {
  CHECK(options.shorter >= 0, "[pack] the shorter side is not negative, got ", options.shorter);
  CHECK(options.quality >= 1 && options.quality <= 100, "[pack] the quality is 1 to 100, got ",
        options.quality);
  Writer writer(dataset, file, options);
  const std::int64_t block = kPerThread * num_threads();
  for (std::int64_t begin = 0; begin < dataset.size(); begin += block) {
    const std::int64_t end = std::min(begin + block, dataset.size());
    std::vector<Packed> pictures(static_cast<std::size_t>(end - begin));
    parallel_for(begin, end, 1, [&](std::int64_t first, std::int64_t last) {
      Sample sample;
      for (std::int64_t i = first; i < last; ++i) {
        check_stop();
        Packed& picture = pictures[static_cast<std::size_t>(i - begin)];
        try {
          picture = pack_one(dataset, i, options, sample);
        } catch (const SystemError&) {
          throw;  // the machine's fault, not the image's
        } catch (const Error& error) {
          picture.reason = error.what();
        }
      }
    });
    for (std::int64_t i = begin; i < end; ++i)
      writer.add(i, pictures[static_cast<std::size_t>(i - begin)]);
    writer.check_bad_share();
    progress(end, dataset.size());
  }
  return writer.finish();
}

}  // namespace invp
