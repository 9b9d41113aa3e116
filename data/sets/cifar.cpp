#include "data/sets/cifar.h"

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <utility>

#include "data/sets/cifar_pickle.h"
#include "data/sets/text_lines.h"
#include "engine/core/error.h"
#include "engine/files/file_reader.h"

namespace invp {
namespace {

namespace fs = std::filesystem;

struct Layout {
  const char* kind;
  const char* title;
  std::size_t label_bytes;  ///< the last of them is the label
  int classes;
  const char* binary_folder;
  const char* python_folder;
  const char* names_file;
};
constexpr Layout kTen = {
    "cifar10",         "CIFAR-10", 1, 10, "cifar-10-batches-bin", "cifar-10-batches-py",
    "batches.meta.txt"};
constexpr Layout kHundred = {"cifar100",         "CIFAR-100",           2, 100, "cifar-100-binary",
                             "cifar-100-python", "fine_label_names.txt"};

const Layout& layout_of(Cifar version) {
  return version == Cifar::k10 ? kTen : kHundred;
}
std::size_t record_bytes(const Layout& layout) {
  return layout.label_bytes + kCifarPixels;
}

struct Batches {
  std::vector<fs::path> files;
  bool binary = true;
};

/// The files of a split in one folder, or none. A missing batch is an error: training on the others
/// would go unnoticed.
std::optional<Batches> find_batches(const fs::path& folder, Cifar version, bool train) {
  const auto exists = [&](const std::string& name) { return fs::is_regular_file(folder / name); };
  if (version == Cifar::k10) {
    for (const bool binary : {true, false}) {
      const std::string ending = binary ? ".bin" : "";
      if (!train && exists("test_batch" + ending))
        return Batches{{folder / ("test_batch" + ending)}, binary};
      if (!train) continue;
      Batches batches{{}, binary};
      std::string missing;
      for (int i = 1; i <= 5; ++i) {
        const std::string name = "data_batch_" + std::to_string(i) + ending;
        if (exists(name))
          batches.files.push_back(folder / name);
        else
          missing = name;
      }
      if (batches.files.empty()) continue;
      CHECK(missing.empty(), (folder / missing).string(),
            ": this batch is missing beside the others; download the set again");
      return batches;
    }
  }
  const std::string name = train ? "train" : "test";
  if (exists(name + ".bin")) return Batches{{folder / (name + ".bin")}, true};
  if (version == Cifar::k100 && exists(name)) return Batches{{folder / name}, false};
  return std::nullopt;
}

std::array<fs::path, 3> places(const fs::path& folder, const Layout& layout) {
  return {folder, folder / layout.binary_folder, folder / layout.python_folder};
}

CifarRecords read_binary(const fs::path& path, const Layout& layout) {
  const FileReader file(path);
  const std::size_t record = record_bytes(layout);
  if (file.size() == 0 || file.size() % record != 0) {
    fail(path.string(), ": has ", file.size(), " bytes; expected is a whole number of ",
         layout.title, " records of ", record, " bytes (", layout.label_bytes, " of labels, ",
         kCifarPixels, " of pixels). It was cut short or is of another set: download it again");
  }
  const std::vector<std::byte> bytes = file.read(0, file.size());
  CifarRecords records;
  const std::size_t count = bytes.size() / record;
  records.planes.reserve(count * kCifarPixels);
  for (std::size_t i = 0; i < count; ++i) {
    const auto labels = std::span(bytes).subspan(i * record, layout.label_bytes);
    const auto pixels = std::span(bytes).subspan(i * record + layout.label_bytes, kCifarPixels);
    records.labels.push_back(std::to_integer<std::int32_t>(labels.back()));
    const auto* first = reinterpret_cast<const std::uint8_t*>(pixels.data());
    records.planes.insert(records.planes.end(), first, first + kCifarPixels);
  }
  return records;
}

/// Three planes of 1024 to interleaved RGB.
void append_interleaved(std::span<const std::uint8_t> planes, std::vector<std::uint8_t>& pixels) {
  constexpr std::size_t kPlane = kCifarPixels / 3;
  const std::size_t begin = pixels.size();
  pixels.resize(begin + planes.size());
  for (std::size_t image = 0; image < planes.size(); image += kCifarPixels) {
    const std::uint8_t* from = &planes[image];
    std::uint8_t* to = &pixels[begin + image];
    for (std::size_t i = 0; i < kPlane; ++i) {
      for (std::size_t c = 0; c < 3; ++c) to[3 * i + c] = from[c * kPlane + i];
    }
  }
}

std::vector<std::string> class_names(const fs::path& folder, const Layout& layout) {
  std::vector<std::string> names;
  if (const fs::path text_file = folder / layout.names_file; fs::is_regular_file(text_file)) {
    for (const TextLine& line : read_lines(text_file)) names.emplace_back(line.text);
  } else {
    names = read_cifar_names(folder, static_cast<std::size_t>(layout.classes));
  }
  return std::ssize(names) == layout.classes ? names : numbered_classes(layout.classes);
}

}  // namespace

std::optional<Cifar> recognise_cifar(const fs::path& folder) {
  for (const Cifar version : {Cifar::k10, Cifar::k100}) {
    const Layout& layout = layout_of(version);
    for (const fs::path& place : places(folder, layout)) {
      for (const bool train : {true, false}) {
        const auto batches = find_batches(place, version, train);
        if (!batches) continue;
        const bool shared_name = batches->binary && batches->files.size() == 1 &&
                                 !batches->files[0].filename().string().starts_with("test_batch");
        if (!shared_name) return version;
        if (fs::exists(place / kHundred.names_file)) return Cifar::k100;
        const auto size = fs::file_size(batches->files[0]);
        if (size > 0 && size % record_bytes(layout) == 0) return version;
        // Of neither length: opening it as CIFAR-10 reports that.
        if (size == 0 || size % record_bytes(kHundred) != 0) return version;
      }
    }
  }
  return std::nullopt;
}

bool has_cifar_split(const fs::path& folder, Cifar version, bool train) {
  return std::ranges::any_of(places(folder, layout_of(version)), [&](const fs::path& place) {
    return find_batches(place, version, train).has_value();
  });
}

std::unique_ptr<Dataset> open_cifar(const fs::path& folder, Cifar version, bool train) {
  const Layout& layout = layout_of(version);
  for (const fs::path& place : places(folder, layout)) {
    const auto batches = find_batches(place, version, train);
    if (!batches) continue;
    std::vector<std::uint8_t> pixels;
    std::vector<std::int32_t> labels;
    std::vector<PixelDataset::Source> sources;
    for (const fs::path& file : batches->files) {
      const CifarRecords records =
          batches->binary
              ? read_binary(file, layout)
              : read_cifar_pickle(file, version == Cifar::k10 ? "labels" : "fine_labels");
      const auto wrong = std::ranges::find_if(
          records.labels, [&](std::int32_t label) { return label < 0 || label >= layout.classes; });
      CHECK(wrong == records.labels.end(), file.string(), ": record ",
            wrong - records.labels.begin(), " has label ", *wrong, ", but ", layout.title, " has ",
            layout.classes, " classes; is it of another set?");
      append_interleaved(records.planes, pixels);
      labels.insert(labels.end(), records.labels.begin(), records.labels.end());
      sources.push_back({file.string(), std::ssize(records.labels)});
    }
    return std::make_unique<PixelDataset>(layout.kind, kCifarSide, kCifarSide, std::move(pixels),
                                          std::move(sources), std::move(labels),
                                          class_names(place, layout));
  }
  const char* split = train ? "training" : "test";
  fail(folder.string(), ": no ", split, " batches of ", layout.title, "; expected are ",
       version == Cifar::k10
           ? (train ? "data_batch_1.bin to data_batch_5.bin, train.bin, or the pickles "
                      "data_batch_1 to data_batch_5"
                    : "test_batch.bin, test.bin, or the pickle test_batch")
           : (train ? "train.bin or the pickle train" : "test.bin or the pickle test"));
}

}  // namespace invp
