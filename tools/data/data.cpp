// invp data info, check and show: what a data set is, whether it is whole, how it looks to
// training.
#include "tools/data/data.h"

#include <iostream>
#include <mutex>
#include <nlohmann/json.hpp>

#include "data/images/contact_sheet.h"
#include "data/images/decode.h"
#include "data/images/encode.h"
#include "engine/core/error.h"
#include "engine/core/parallel.h"
#include "engine/core/stop.h"
#include "engine/core/text.h"
#include "engine/files/atomic_file.h"
#include "engine/files/file_reader.h"
#include "invp/report/text/progress.h"
#include "invp/report/text/table.h"
#include "tools/data/boxes.h"
#include "tools/options/augment_options.h"
#include "tools/options/data_options.h"
#include "tools/options/device_options.h"

namespace invp::cli {

namespace {

class InfoCommand : public Command {
 public:
  CommandText text() const override {
    return {.name = "data info",
            .arguments = "--data PATH [--format NAME]",
            .summary = "format, splits, images and classes of a data set",
            .description =
                "Prints the format of a data set, its splits, and their images and classes. Of\n"
                "sets with boxes (VOC, COCO) it also counts the objects.\n",
            .examples = "  invp data info --data cifar-10-batches-bin\n"};
  }

  void declare(Options& options) override { declare_data(options, data_); }

  Results run() override {
    const DataSource source = resolve_source(data_source(data_));
    const std::string& format = source.format;
    std::int64_t images = 0;
    std::size_t classes = 0;
    Results sizes = Results::object();
    std::string remarks;
    Table table({"split", ">images", ">classes", "first class", "last class"});
    std::unique_ptr<Dataset> train;
    for (const std::string& split : dataset_splits(source)) {
      auto dataset = open_dataset(source, split);
      images += dataset->size();
      classes = std::max(classes, dataset->classes().size());
      sizes[split] = dataset->size();
      table.row({split, std::to_string(dataset->size()), std::to_string(dataset->classes().size()),
                 dataset->has_labels() ? dataset->classes().front() : "-",
                 dataset->has_labels() ? dataset->classes().back() : "-"});
      remarks += remarks_on(*dataset, split);
      if (train != nullptr) remarks += class_remark(*train, std::move(dataset), split);
      if (split == "train") train = std::move(dataset);
    }
    if (sizes.contains("val") && sizes.contains("test"))
      remarks += "  commands evaluate on val, not on test\n";
    std::cout << (source.path.empty() ? "synthetic set" : printable(source.path.string())) << ": "
              << format << '\n'
              << table.text() << remarks;
    Results results = {
        {"format", format}, {"images", images}, {"classes", classes}, {"splits", sizes}};
    if (has_boxes(source)) results["boxes"] = tell_boxes(source);
    return results;
  }

 private:
  /// What other commands will say of the split's classes; empty if they fit.
  static std::string class_remark(const Dataset& train, std::unique_ptr<Dataset> set,
                                  const std::string& split) {
    try {
      numbered_as(train, std::move(set));
      return "";
    } catch (const Error& error) {
      return "  " + split + ": " + error.what() + '\n';
    }
  }

  static std::string remarks_on(const Dataset& set, const std::string& split) {
    std::string remarks;
    if (!set.storage().empty()) remarks += "  " + split + ": " + set.storage() + '\n';
    if (!set.left_out().empty()) remarks += "  " + split + ": left out: " + set.left_out() + '\n';
    if (!set.has_labels()) remarks += "  " + split + ": no labels: " + set.why_no_labels() + '\n';
    return remarks;
  }

  DataOptions data_;
};

/// Why a picture cannot be used, as `kind` in the results. Other commands leave out the first two
/// and stop at the third, which is the machine's fault: a missing right, a failing disk.
constexpr const char* kBroken = "broken";
constexpr const char* kUnsupported = "unsupported";
constexpr const char* kUnreadable = "unreadable";

struct BadPicture {
  std::string reason;
  const char* kind = nullptr;  ///< null: the picture is good
};

BadPicture check_picture(const Dataset& dataset, std::int64_t index) {
  try {
    dataset.check(index);
  } catch (const SystemError& error) {
    return {error.what(), kUnreadable};
  } catch (const UnsupportedPicture& error) {
    return {error.what(), kUnsupported};
  } catch (const Error& error) {
    return {error.what(), kBroken};
  }
  return {};
}

class CheckCommand : public Command {
 public:
  CommandText text() const override {
    return {.name = "data check",
            .arguments = "--data PATH [--format NAME]",
            .summary = "decode every image and list the bad ones",
            .description =
                "Decodes every image of every split and lists those that other commands leave\n"
                "out, with the reason: broken ones, and those that are unsupported, of a form\n"
                "that is not read or larger than --max-pixels. Files that the system does not\n"
                "let it read are unreadable; other commands stop at them. Of packs it also\n"
                "compares the checksums. Of sets with boxes (VOC, COCO) it also lists boxes that\n"
                "are empty, outside the picture or not numbers, and annotations that cannot be\n"
                "used. Ends with 1 if there are any.\n",
            .examples = "  invp data check --data photos\n"};
  }

  void declare(Options& options) override {
    declare_data(options, data_);
    declare_threads(options, threads_);
  }

  Results run() override {
    set_num_threads(threads_);
    const DataSource source = resolve_source(data_source(data_));
    Results results{{"images", 0},
                    {"bad", Results::array()},
                    {kBroken, 0},
                    {kUnsupported, 0},
                    {kUnreadable, 0}};
    std::int64_t images = 0;
    for (const std::string& split : dataset_splits(source)) {
      const auto dataset = open_dataset(source, split);
      check_split(*dataset, "checking " + split, results);
      images += dataset->size();
    }
    results["images"] = images;
    for (const auto& entry : results["bad"]) {
      std::cout << "  " << entry["kind"].get<std::string>() << ": "
                << printable(entry["reason"].get<std::string>()) << '\n';
    }
    any_bad_ = !results["bad"].empty();
    std::cout << counted(images, "image") << ": " << results[kBroken] << " broken, "
              << results[kUnsupported] << " unsupported";
    if (results[kUnreadable] > 0) std::cout << ", " << results[kUnreadable] << " unreadable";
    std::cout << '\n';
    if (has_boxes(source)) any_bad_ |= check_boxes(source, results);
    return results;
  }

  int exit_code() const override { return any_bad_ ? 1 : 0; }

 private:
  static void check_split(const Dataset& dataset, const std::string& label, Results& results) {
    ProgressBar bar(label);
    constexpr std::int64_t kBlock = 256;
    for (std::int64_t begin = 0; begin < dataset.size(); begin += kBlock) {
      const std::int64_t end = std::min(begin + kBlock, dataset.size());
      std::vector<BadPicture> found(static_cast<std::size_t>(end - begin));
      parallel_for(begin, end, 1, [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t i = first; i < last; ++i) {
          check_stop();
          found[static_cast<std::size_t>(i - begin)] = check_picture(dataset, i);
        }
      });
      for (std::int64_t i = begin; i < end; ++i) {
        const auto& [reason, kind] = found[static_cast<std::size_t>(i - begin)];
        if (kind == nullptr) continue;
        results["bad"].push_back({{"file", dataset.name(i)}, {"reason", reason}, {"kind", kind}});
        results[kind] = results[kind].get<std::int64_t>() + 1;
      }
      bar.show(end, dataset.size());
    }
  }

  DataOptions data_;
  int threads_ = 0;
  bool any_bad_ = false;
};

class ShowCommand : public Command {
 public:
  CommandText text() const override {
    return {
        .name = "data show",
        .arguments = "--data PATH --to OUT.png [options]",
        .summary = "a picture of images beside their augmented views",
        .description =
            "Draws a contact sheet: each row has an image and, beside it, views of it as\n"
            "training sees them. Of sets with boxes (VOC, COCO) it shows pictures with their\n"
            "boxes, three per row, unless --views or --augment asks for views.\n",
        .examples = "  invp data show --data photos --to sheet.png --rows 6 --augment imagenet\n"};
  }

  void declare(Options& options) override {
    options_ = &options;
    options.main_group("Sheet");
    options.text("to", to_, "OUT.png", "file for the picture").required();
    options.integer("rows", rows_, {1, 1000}, "rows: images, spread evenly over the split");
    options.integer("views", sheet_.views, {1, 100}, "views beside each image");
    options.integer("tile", sheet_.tile, {16, 1024},
                    "height and width of one view on the sheet, in pixels");
    options.text("split", split_, "NAME", "train, val or test");
    options.integer("seed", seed_, {0, 9e18}, "seed of the views");
    declare_data(options, data_);
    augment_.declare(options);
  }

  Results run() override {
    const DataSource source = resolve_source(data_source(data_));
    if (!options_->given("views") && !options_->given("augment") && has_boxes(source))
      return show_boxes(source);
    const auto dataset = open_dataset(source, split_);
    const AugmentConfig augment = augment_.resolve(*options_);
    std::vector<Image> originals;
    for (std::int64_t row = 0; row < std::min<std::int64_t>(rows_, dataset->size()); ++row) {
      originals.push_back(
          dataset->load(row * dataset->size() / std::min<std::int64_t>(rows_, dataset->size())));
    }
    const Image sheet =
        contact_sheet(originals, augment, static_cast<std::uint64_t>(seed_), sheet_);
    write_file(to_, encode_png(sheet));
    std::cout << to_ << ": " << originals.size() << " images with " << sheet_.views
              << " views each\n";
    return {{"images", originals.size()}, {"picture", to_}};
  }

 private:
  Results show_boxes(const DataSource& source) {
    constexpr int kColumns = 3, kTile = 400;  // labels need room
    if (!options_->given("tile")) sheet_.tile = kTile;
    const std::vector<Image> pictures =
        pictures_with_boxes(source, split_, std::int64_t{kColumns} * rows_, sheet_.tile);
    write_file(to_, encode_png(picture_sheet(pictures, kColumns, sheet_)));
    std::cout << to_ << ": " << pictures.size() << " pictures with their boxes\n";
    return {{"images", pictures.size()}, {"picture", to_}};
  }

  const Options* options_ = nullptr;
  std::string to_;
  std::string split_ = "train";
  int rows_ = 6;
  std::int64_t seed_ = 0;
  ContactSheet sheet_;
  DataOptions data_;
  AugmentOptions augment_;
};

}  // namespace

void add_data_info(Commands& commands) {
  commands.push_back(std::make_unique<InfoCommand>());
}
void add_data_check(Commands& commands) {
  commands.push_back(std::make_unique<CheckCommand>());
}
void add_data_show(Commands& commands) {
  commands.push_back(std::make_unique<ShowCommand>());
}

void add_data(Commands& commands) {
  add_data_info(commands);
  add_data_check(commands);
  add_data_show(commands);
  add_data_apply(commands);
  add_data_synthesize(commands);
  add_data_pack(commands);
}

}  // namespace invp::cli
