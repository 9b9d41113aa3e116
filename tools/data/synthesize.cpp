// invp data synthesize: the synthetic set as files, an ImageFolder of JPEGs, or pictures with boxes
// in COCO's form.
#include <iostream>
#include <nlohmann/json.hpp>

#include "data/synthetic/boxed_scenes.h"
#include "data/synthetic/synthetic.h"
#include "engine/core/parallel.h"
#include "invp/report/text/progress.h"
#include "tools/data/data.h"
#include "tools/options/device_options.h"

namespace invp::cli {

namespace {

class SynthesizeCommand : public Command {
 public:
  CommandText text() const override {
    return {.name = "data synthesize",
            .arguments = "DIR [options]",
            .summary = "write the synthetic set as JPEG files",
            .description =
                "Draws the synthetic set and writes it as DIR/train/CLASS/*.jpg and\n"
                "DIR/val/CLASS/*.jpg. A class is a shape with a texture; color, size, place,\n"
                "turn, light and clutter vary so widely that raw pixels hardly show the class.\n"
                "With --boxes each picture shows several objects, and their boxes are written as\n"
                "COCO has them, for invp detect.\n",
            .examples =
                "  invp data synthesize /tmp/synthetic --train 2000 --val 500 --size 64\n"
                "  invp data synthesize /tmp/boxes --boxes --train 400 --val 100 --size 240\n"};
  }

  void declare(Options& options) override {
    options.positional("DIR", dir_, "folder to fill; it must be new or empty");
    options.main_group("Data set");
    options.integer("train", config_.train, {1, 1e9}, "training images");
    options.integer("val", config_.val, {0, 1e9}, "validation images");
    options.integer("classes", config_.set.classes, {2, 100}, "classes");
    options.flag("boxes", boxes_, "several objects per picture, with boxes in COCO's form");
    options.integer("size", config_.set.size, {8, 1024}, "height and width, in pixels");
    options.integer("quality", config_.jpeg_quality, {1, 100}, "quality of the JPEG files");
    options.integer("seed", seed_, {0, 9e18}, "seed of everything that is drawn");
    declare_threads(options, threads_);
  }

  Results run() override {
    set_num_threads(threads_);
    config_.set.seed = static_cast<std::uint64_t>(seed_);
    {
      ProgressBar bar("drawing");
      const auto write = boxes_ ? synthesize_boxes : synthesize;
      write(dir_, config_, [&](std::int64_t done, std::int64_t total) { bar.show(done, total); });
    }
    const std::int64_t images = config_.train + config_.val;
    std::cout << dir_ << ": " << config_.train << " training and " << config_.val
              << " validation images of " << config_.set.classes << " classes, " << config_.set.size
              << " x " << config_.set.size << '\n';
    return {{"images", images}, {"classes", config_.set.classes}, {"splits", {"train", "val"}}};
  }

 private:
  std::string dir_;
  SynthesizeOptions config_;
  bool boxes_ = false;
  std::int64_t seed_ = 0;
  int threads_ = 0;
};

}  // namespace

void add_data_synthesize(Commands& commands) {
  commands.push_back(std::make_unique<SynthesizeCommand>());
}

}  // namespace invp::cli
