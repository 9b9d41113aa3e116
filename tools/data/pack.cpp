// invp data pack: a split as one file that training reads fastest.
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "data/sets/pack_writer.h"
#include "engine/core/error.h"
#include "engine/core/memory.h"
#include "engine/core/parallel.h"
#include "engine/core/text.h"
#include "invp/report/text/progress.h"
#include "tools/data/data.h"
#include "tools/options/data_options.h"

namespace invp::cli {

namespace {

class PackCommand : public Command {
 public:
  CommandText text() const override {
    return {.name = "data pack",
            .arguments = "--data PATH --to FILE.pack [options]",
            .summary = "write a split as one file that is fast to read",
            .description =
                "Writes the images of a split, shrunk, as JPEG or as pixels, into one file, which\n"
                "every command takes as --data FILE.pack; packs of several splits are found\n"
                "beside each other as train.pack, val.pack and test.pack. JPEGs that are small\n"
                "enough are copied byte for byte. Shrinking changes pixels: a random crop of\n"
                "less than --image-size pixels is enlarged again.\n"
                "Every image is decoded once; broken ones are listed and left out. The file\n"
                "appears under its name once it is whole.\n",
            .examples =
                "  invp data pack --data imagenet --split all --to packed\n"
                "  invp data pack --data photos --split train --to train.pack --raw\n"};
  }

  void declare(Options& options) override {
    declared_ = &options;
    options.group("Pack");
    options.text("to", to_, "FILE", "the file to write; a folder with --split all").required();
    options.text("split", split_, "NAME", "train, val, test, extra or all");
    options.integer("shorter", pack_.shorter, {0, 65500},
                    "shrink images of a longer shorter side to it; 0: none");
    options.integer("quality", pack_.quality, {1, 100}, "of the JPEGs that are encoded anew");
    options.flag("raw", pack_.raw,
                 "pixels instead of JPEG: larger, nothing to decode; always so for sets that "
                 "are pixels, unless --quality is given");
    options.number("max-bad-share", pack_.max_bad_share, kProbability,
                   "share of broken images that fails the pack");
    options.integer("threads", threads_, {0, 1024}, "CPU threads; 0: every core allowed");
    declare_data(options, data_);
  }

  Results run() override {
    if (pack_.raw && declared_->given("quality"))
      throw UsageError("--raw stores pixels, --quality is of JPEGs: give one of them");
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
      add(results, file, pack(*open_dataset(source, split), split, file));
    }
    return results;
  }

 private:
  PackReport pack(const Dataset& dataset, const std::string& split,
                  const std::filesystem::path& file) const {
    PackOptions options = pack_;
    Sample first;
    if (dataset.size() > 0) dataset.fetch(0, first);
    // Small pictures gain nothing from JPEG and would lose their exact values.
    if (!first.is_encoded() && !declared_->given("quality")) options.raw = true;
    ProgressBar bar("packing " + split);
    return write_pack(dataset, file, options,
                      [&](std::int64_t done, std::int64_t total) { bar.show(done, total); });
  }

  static void add(Results& results, const std::filesystem::path& file, const PackReport& report) {
    std::cout << file.string() << ": " << report.images << " images, " << format_bytes(report.bytes)
              << "; " << report.shrunk << " shrunk, " << report.copied << " copied as they were";
    if (!report.left_out.empty()) std::cout << ", " << report.left_out.size() << " broken left out";
    std::cout << '\n';
    for (const BadImage& bad : report.left_out) {
      std::cout << "  " << bad.reason << '\n';
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
