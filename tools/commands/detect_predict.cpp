// invp detect predict: objects in pictures, drawn and as JSON.
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "data/images/decode.h"
#include "data/images/draw_boxes.h"
#include "data/images/encode.h"
#include "data/load/view_maker.h"
#include "engine/core/error.h"
#include "engine/core/text.h"
#include "engine/files/atomic_file.h"
#include "engine/files/file_reader.h"
#include "invp/protocols/detection/detect_set.h"
#include "tools/commands/detect.h"
#include "tools/options/data_options.h"
#include "tools/options/detector_checkpoint.h"

namespace invp::cli {

namespace {

constexpr const char* kObjectsFile = "detections.json";

class DetectPredictCommand : public Command {
 public:
  CommandText text() const override {
    return {.name = "detect predict",
            .arguments = "--checkpoint FILE --to DIR [options] PICTURE...",
            .summary = "draw the objects that a detector finds in pictures",
            .description =
                "Looks for objects in each picture and writes it to DIR with boxes, names and\n"
                "scores drawn, as NAME.png, and all objects to DIR/detections.json: x0, y0, x1\n"
                "and y1 in the picture's own pixels, class and score. The checkpoint is one of\n"
                "invp detect train or detectron2's.\n",
            .examples =
                "  invp detect predict --checkpoint runs/voc/checkpoints/last.safetensors \\\n"
                "      --to found photo.jpg street.png\n"};
  }

  void declare(Options& options) override {
    options.positionals("PICTURE", pictures_, "files to look at");
    options.main_group("Prediction");
    options.text("checkpoint", detector_.checkpoint, "FILE", "the detector").required();
    options.text("to", to_, "DIR", "folder to write into").required();
    options.number("score", score_, kProbability, "least score of an object");
    declare_max_pixels(options, max_pixels_);
    declare_detector(options, detector_);
  }

  Results run() override {
    set_default_max_pixels(max_pixels_);
    const std::map<std::string, std::string> names = output_names();
    LoadedDetector loaded = load_detector(detector_);
    announce(loaded.compute);
    std::filesystem::create_directories(to_);
    Results all = Results::array();
    for (const std::string& file : pictures_) all.push_back(predict(loaded, file, names.at(file)));
    write_file(std::filesystem::path(to_) / kObjectsFile, all.dump(1) + "\n");
    std::cout << counted(objects_, "object") << " in " << counted(std::ssize(pictures_), "picture")
              << (bad_ > 0 ? message(", ", bad_, " unreadable") : std::string()) << ": "
              << printable(to_) << '\n';
    return {{"pictures", pictures_.size()},
            {"objects", objects_},
            {"bad", bad_},
            {"to", to_},
            {"detections", all}};
  }

  int exit_code() const override { return bad_ > 0 ? 1 : 0; }

 private:
  /// Of each file; two pictures of one name get numbers.
  std::map<std::string, std::string> output_names() const {
    std::map<std::string, std::string> names;
    std::map<std::string, int> used;
    for (const std::string& file : pictures_) {
      if (names.contains(file)) continue;
      const std::string stem = std::filesystem::path(file).stem().string();
      const int before = used[stem]++;
      names[file] = stem + (before > 0 ? "-" + std::to_string(before + 1) : "") + ".png";
    }
    return names;
  }

  Results predict(LoadedDetector& loaded, const std::string& file, const std::string& name) {
    Results entry{{"file", file}};
    try {
      Image image = load_image(file, upright({}));
      const TestPicture picture =
          test_picture(image, loaded.compute.device, 0, loaded.short_edge, loaded.longest);
      std::vector<DrawnBox> drawn;
      entry["picture"] = (std::filesystem::path(to_) / name).string();
      entry["objects"] = Results::array();
      for (const FoundObject& object : detect_picture(*loaded.network, picture)) {
        if (object.score < score_) continue;
        const std::string& label = loaded.classes[static_cast<std::size_t>(object.label)];
        entry["objects"].push_back(
            {{"class", label}, {"score", object.score}, {"box", object.box}});
        drawn.push_back({.x0 = object.box[0],
                         .y0 = object.box[1],
                         .x1 = object.box[2],
                         .y1 = object.box[3],
                         .text = label + " " + formatted("%.2f", object.score),
                         .kind = object.label});
      }
      objects_ += std::ssize(drawn);
      std::cout << printable(file) << ": " << counted(std::ssize(drawn), "object") << '\n';
      draw_boxes(image, drawn);
      write_file(std::filesystem::path(to_) / name, encode_png(image));
    } catch (const SystemError&) {
      throw;
    } catch (const Error& error) {
      std::cerr << printable(error.what()) << '\n';
      entry["error"] = error.what();
      ++bad_;
    }
    return entry;
  }

  std::vector<std::string> pictures_;
  std::string to_;
  double score_ = 0.5;
  std::int64_t max_pixels_ = default_max_pixels();
  std::int64_t objects_ = 0, bad_ = 0;
  DetectorOptions detector_;
};

}  // namespace

void add_detect_predict(Commands& commands) {
  commands.push_back(std::make_unique<DetectPredictCommand>());
}

}  // namespace invp::cli
