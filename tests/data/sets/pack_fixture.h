// A small image folder and the pack that is made of it.
#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "data/images/encode.h"
#include "data/sets/image_folder.h"
#include "data/sets/pack_dataset.h"
#include "data/sets/pack_writer.h"
#include "tests/data/golden.h"
#include "tests/support/temp_folder.h"

namespace invp {

namespace fs = std::filesystem;

inline std::string text_of(const std::vector<std::uint8_t>& bytes) {
  return {bytes.begin(), bytes.end()};
}

/// Two classes of JPEG and PNG, some of them large.
class PackTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string files = folder_.path().string() + "/set/";
    fs::create_directories(files);
    for (int i = 0; i < 12; ++i) {
      const Image image = test::photo_like(40 + 7 * i, 90 - 4 * i, static_cast<std::uint64_t>(i));
      const std::string name = (i % 3 == 0 ? "ant/" : "bee/") + std::to_string(100 + i);
      folder_.write("set/" + name + (i % 4 == 3 ? ".png" : ".jpg"),
                    text_of(i % 4 == 3 ? encode_png(image) : encode_jpeg(image)));
    }
    set_ = open_image_folder(root());
  }

  fs::path root() const { return folder_ / "set"; }
  fs::path file() const { return folder_ / "train.pack"; }
  PackReport write(PackOptions options) const {
    options.root = root();
    return write_pack(*set_, file(), options, [](std::int64_t, std::int64_t) {});
  }
  PackReport write_raw() const { return write({.raw = true, .shorter = 0}); }
  std::string opening_says() const {
    return testing::error_of([&] { open_pack(file()); });
  }

  testing::TempFolder folder_;
  std::unique_ptr<Dataset> set_;
};

}  // namespace invp
