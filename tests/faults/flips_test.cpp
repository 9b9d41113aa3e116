// One bit of a file is another: it is refused, or what is read is what was written. 200 places of
// each kind of byte, of a checkpoint, of exported weights and of a pack.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>
#include <string>

#include "data/sets/pack_dataset.h"
#include "data/sets/pack_format.h"
#include "engine/core/error.h"
#include "engine/core/random.h"
#include "engine/files/safetensors.h"
#include "engine/files/weights.h"
#include "tests/tools/program.h"

namespace invp::testing {
namespace {

namespace fs = std::filesystem;

/// Bytes [begin, end) that mean the same kind of thing.
struct ByteClass {
  std::string name;
  std::size_t begin, end;
};

/// Everything that is read, as one text.
std::string text_of(const TensorFile& file) {
  std::string text;
  for (const auto& [name, tensor] : file.tensors) {
    text += name + '=' + message(tensor.dtype(), tensor.shape());
    text.append(static_cast<const char*>(tensor.raw()), tensor.nbytes());
  }
  for (const auto& [key, value] : file.metadata) text += key + '=' + value + '\n';
  return text;
}

std::string text_of_pack(const fs::path& file) {
  const auto pack = open_pack(file);
  std::string text = pack->storage();
  for (const std::string& name : pack->classes()) text += name + '\n';
  Sample sample;
  for (std::int64_t i = 0; i < pack->size(); ++i) {
    pack->fetch(i, sample);
    text += message(pack->name(i), pack->label(i));
    text.append(reinterpret_cast<const char*>(sample.encoded.data()), sample.encoded.size());
  }
  return text;
}

class Flips : public ::testing::Test {
 protected:
  void SetUp() override {
    prepare(
        "pretrain --format synthetic --synthetic-train 32 --synthetic-val 8 --synthetic-size 16 "
        "--synthetic-classes 4 --image-size 16 --threads 1 --workers 1 --seed 3 --arch "
        "resnet18-cifar --width 2 --dim 8 --augment cifar --epochs 1 --batch-size 16 "
        "--background 16 --hard-positives 4 --knn-k 5 --out " +
        (scratch_ / "run"));
  }
  static void prepare(const std::string& arguments) {
    const Outcome outcome = run_invp(arguments);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
  }
  std::string checkpoint() const { return scratch_ / "run/checkpoints/last.safetensors"; }

  /// Flips a bit at 200 places of each class and reads the file. `may_differ`: what is read may be
  /// other, at this place.
  void expect_refused_or_equal(
      const fs::path& file, const std::vector<ByteClass>& classes,
      const std::function<std::string(const fs::path&)>& read,
      const std::function<bool(std::size_t)>& may_differ = [](std::size_t) { return false; }) {
    const std::string whole = read_all(file);
    const std::string expected = read(file);
    Random random(7, Purpose::kBenchmark);
    constexpr int kPlaces = 200;
    std::map<std::string, int> refused;
    for (const ByteClass& bytes : classes) {
      ASSERT_LT(bytes.begin, bytes.end) << bytes.name;
      ASSERT_LE(bytes.end, whole.size()) << bytes.name;
      for (int i = 0; i < kPlaces; ++i) {
        const std::size_t at =
            bytes.begin + static_cast<std::size_t>(random.integer(
                              0, static_cast<std::int64_t>(bytes.end - bytes.begin) - 1));
        std::string flipped = whole;
        flipped[at] = static_cast<char>(flipped[at] ^ (1 << random.integer(0, 7)));
        // A new file: some systems flush one that is emptied and written again.
        const fs::path now = scratch_.path() / ("flipped" + file.extension().string());
        fs::remove(now);
        scratch_.write(now.filename().string(), flipped);
        try {
          const std::string found = read(now);
          EXPECT_TRUE(found == expected || may_differ(at))
              << bytes.name << ": byte " << at << " was flipped, and other data were read";
        } catch (const Error&) {
          ++refused[bytes.name];
        }
      }
      std::printf("%s, %s: %d of %d refused\n", file.filename().c_str(), bytes.name.c_str(),
                  refused[bytes.name], kPlaces);
    }
  }

  /// The header's parts, and the tensors whose names begin alike.
  static std::vector<ByteClass> classes_of_tensors(const fs::path& file) {
    const std::string whole = read_all(file);
    const SafetensorsHeader header = read_safetensors_header(file);
    std::size_t data = whole.size();
    std::vector<ByteClass> classes;
    for (const TensorEntry& entry : header.entries) {
      data = std::min<std::size_t>(data, entry.begin);
      if (entry.begin == entry.end) continue;
      const std::string name = entry.name.substr(0, entry.name.find('.'));
      const bool known =
          std::ranges::any_of(classes, [&](const ByteClass& other) { return other.name == name; });
      if (!known) classes.push_back({name, entry.begin, entry.end});
    }
    const std::size_t checksums = whole.find("invp.crc32c") + 14;
    classes.push_back({"length", 0, 8});
    classes.push_back({"header", 8, data});
    classes.push_back({"checksums", checksums, whole.find('"', checksums)});
    return classes;
  }
  /// The name of the note that holds the checksums: without it the file is one of others.
  static std::function<bool(std::size_t)> in_the_key(const fs::path& file) {
    const std::size_t key = read_all(file).find("invp.crc32c");
    return [key](std::size_t at) { return at >= key && at < key + 11; };
  }

  Scratch scratch_;
};

TEST_F(Flips, OfACheckpoint) {
  expect_refused_or_equal(
      checkpoint(), classes_of_tensors(checkpoint()),
      [](const fs::path& file) { return text_of(read_safetensors(file)); },
      in_the_key(checkpoint()));
}

TEST_F(Flips, OfExportedWeights) {
  const std::string safetensors = scratch_ / "weights.safetensors";
  prepare("convert " + checkpoint() + " --to " + safetensors);
  const auto read = [](const fs::path& file) { return text_of(load_weights(file)); };
  expect_refused_or_equal(safetensors, classes_of_tensors(safetensors), read,
                          in_the_key(safetensors));
  const std::string pth = scratch_ / "weights.pth";
  prepare("convert " + checkpoint() + " --to " + pth);
  const std::string whole = read_all(pth);
  const std::size_t pickle = whole.find("\x80\x02");
  const std::size_t directory = whole.find("PK\x01\x02");
  expect_refused_or_equal(pth,
                          {{"first header", 0, pickle},
                           {"pickle", pickle, pickle + 1000},
                           {"elements and headers", pickle + 1000, directory},
                           {"directory", directory, whole.size()}},
                          read);
}

TEST_F(Flips, OfAPack) {
  prepare("data synthesize --train 24 --val 4 --size 24 --classes 2 " + (scratch_ / "pictures"));
  const std::string file = scratch_ / "train.pack";
  prepare("data pack --data " + (scratch_ / "pictures") + " --to " + file);
  const std::string whole = read_all(file);
  PackHeader header;
  std::memcpy(&header, whole.data(), sizeof header);
  const std::size_t records = header.index_offset + header.images * sizeof(PackRecord);
  expect_refused_or_equal(file,
                          {{"header", 0, sizeof header},
                           {"pictures", sizeof header, header.index_offset},
                           {"records", header.index_offset, records},
                           {"names", records, whole.size()}},
                          text_of_pack);
}

}  // namespace
}  // namespace invp::testing
