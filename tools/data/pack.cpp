// invp data pack: a split as one file that training reads fastest.
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "data/sets/pack_writer.h"
#include "engine/core/error.h"
#include "engine/core/memory.h"
#include "engine/core/parallel.h"
#include "engine/core/text.h"
#include "engine/files/file_reader.h"
#include "invp/report/text/progress.h"
#include "tools/data/data.h"
#include "tools/options/data_options.h"
#include "tools/options/device_options.h"

namespace invp::cli {

namespace {

class PackCommand : public Command {
 public:
  CommandText text() const override {
    return {.name = "data pack",
            .arguments = "--data PATH --to FILE.pack [options]",
            .summary = "write a split as one file that is fast to read",
            .description =
                "Writes the images of a split into one file, shrunk, as JPEG or as pixels. Every\n"
                "command takes it as --data FILE.pack, or a folder with train.pack, val.pack and\n"
                "test.pack as --data FOLDER.\n\n"
                "JPEGs that are small enough are copied byte for byte. Shrinking changes pixels:\n"
                "crops of less than --image-size pixels are enlarged again in training. Every\n"
                "image is decoded once; broken ones are listed and left out. The file appears\n"
                "under its name when it is complete.\n",
            .examples =
                "  invp data pack --data imagenet --split all --to packed\n"
                "  invp data pack --data photos --split train --to train.pack --raw\n"};
  }

  void declare(Options& options) override {
    declared_ = &options;
    options.main_group("Pack");
    options.text("to", to_, "FILE", "file to write; with --split all, a folder").required();
    options.text("split", split_, "NAME", "split of the data: train, val, test, extra or all");
    options.integer("shorter", pack_.shorter, {0, 65500},
                    "shrink images to this shorter side, in pixels, if theirs is longer; 0: none");
    options.integer("quality", pack_.quality, {1, 100},
                    "quality of the JPEGs that are encoded anew");
    options.flag("raw", pack_.raw,
                 "store pixels, not JPEGs: larger, but nothing to decode. The default for data "
                 "sets that are pixels, such as CIFAR-10");
    options.number("max-bad-share", pack_.max_bad_share, kProbability,
                   "share of broken images above which no pack is written");
    declare_threads(options, threads_);
    declare_data(options, data_);
  }

  Results run() override {
    if (pack_.raw && declared_->given("quality"))
      throw UsageError("--raw stores pixels and --quality is for JPEGs: give only one of them");
    set_num_threads(threads_);
    const DataSource source = data_source(data_);
    pack_.root = source.path;
    const bool all = split_ == "all";
    if (all) std::filesystem::create_directories(to_);
    Results results{{"images", 0}, {"bytes", 0}, {"files", Results::array()}};
    results["bad"] = Results::array();
    for (const std::string& split : all ? dataset_splits(source) : std::vector{split_}) {
      const bool into_folder = all || std::filesystem::is_directory(to_);
      const auto file =
          into_folder ? std::filesystem::path(to_) / (split + ".pack") : std::filesystem::path(to_);
      add(results, file, pack(*open_split(source, split), split, file));
    }
    return results;
  }

 private:
  PackReport pack(const Dataset& dataset, const std::string& split,
                  const std::filesystem::path& file) const {
    PackOptions options = pack_;
    // Small pictures gain nothing from JPEG and would lose their exact values.
    if (!has_files(dataset) && !declared_->given("quality")) options.raw = true;
    ProgressBar bar("packing " + split);
    return write_pack(dataset, file, options,
                      [&](std::int64_t done, std::int64_t total) { bar.show(done, total); });
  }

  /// Are the images files, or pixels? One file that cannot be read tells too.
  static bool has_files(const Dataset& dataset) {
    try {
      Sample first;
      dataset.fetch(0, first);
      return first.is_encoded();
    } catch (const SystemError&) {
      throw;
    } catch (const Error&) {
      return true;
    }
  }

  static void add(Results& results, const std::filesystem::path& file, const PackReport& report) {
    std::cout << printable(file.string()) << ": " << report.images << " images, "
              << format_bytes(report.bytes) << "; " << report.shrunk << " shrunk, " << report.copied
              << " copied as they were";
    if (!report.left_out.empty()) std::cout << ", " << report.left_out.size() << " broken left out";
    std::cout << '\n';
    for (const BadImage& bad : report.left_out) {
      std::cout << "  " << printable(bad.reason) << '\n';
      results["bad"].push_back({{"file", bad.file}, {"reason", bad.reason}});
    }
    results["images"] = results["images"].get<std::int64_t>() + report.images;
    results["bytes"] = results["bytes"].get<std::int64_t>() + report.bytes;
    results["files"].push_back(file.string());
  }

  const Options* declared_ = nullptr;
  std::string to_;
  std::string split_ = "train";
  PackOptions pack_;
  DataOptions data_;
  int threads_ = 0;
};

}  // namespace

void add_data_pack(Commands& commands) {
  commands.push_back(std::make_unique<PackCommand>());
}

}  // namespace invp::cli
