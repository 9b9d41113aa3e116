// invp data apply: given augmentation steps on one image, to hold each against another library.
#include <iostream>
#include <nlohmann/json.hpp>

#include "data/images/decode.h"
#include "data/images/encode.h"
#include "data/images/steps.h"
#include "engine/core/error.h"
#include "engine/core/text.h"
#include "engine/files/atomic_file.h"
#include "tools/data/data.h"
#include "tools/options/data_options.h"

namespace invp::cli {

namespace {

class ApplyCommand : public Command {
 public:
  CommandText text() const override {
    return {.name = "data apply",
            .arguments = "IMAGE --to OUT.png [--step NAME:key=value,... ...]",
            .summary = "apply given augmentation steps to one image",
            .description =
                "Decodes an image to RGB, applies exactly the given steps in the given order and\n"
                "writes the 8-bit result as PNG. Without steps it writes the decoded image.\n\n"
                "Steps\n" +
                step_help(),
            .examples =
                "  invp data apply cat.jpg --to cat.png --step crop:x=10,y=20,w=200,h=150 \\\n"
                "      --step resize:w=224,h=224 --step blur:sigma=1.5\n"};
  }

  void declare(Options& options) override {
    options.positional(
        "IMAGE", image_,
        "a JPEG, PNG, WebP, TIFF, BMP, GIF, TGA, PBM, PGM or PPM file, recognized by content");
    options.main_group("Steps and result");
    options.text("to", to_, "OUT.png", "file for the result").required();
    declare_max_pixels(options, max_pixels_);
    options.repeated("step", steps_, "STEP", "one step, as listed above");
  }

  Results run() override {
    std::vector<Step> steps;
    for (const std::string& text : steps_) {
      try {
        steps.push_back(parse_step(text));
      } catch (const Error& error) {
        throw UsageError(message("--step: ", error.what()));
      }
    }
    set_default_max_pixels(max_pixels_);
    const Image result = apply_steps(load_image(image_), steps);
    write_file(to_, encode_png(result));
    std::cout << printable(to_) << ": " << result.width << " x " << result.height << '\n';
    return {{"width", result.width}, {"height", result.height}, {"picture", to_}};
  }

 private:
  std::string image_;
  std::string to_;
  std::vector<std::string> steps_;
  std::int64_t max_pixels_ = default_max_pixels();
};

}  // namespace

void add_data_apply(Commands& commands) {
  commands.push_back(std::make_unique<ApplyCommand>());
}

}  // namespace invp::cli
