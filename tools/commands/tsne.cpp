// invp tsne: features on a map.
#include <cmath>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "data/images/encode.h"
#include "engine/core/stop.h"
#include "engine/core/stopwatch.h"
#include "engine/files/atomic_file.h"
#include "engine/files/safetensors.h"
#include "invp/report/html/html.h"
#include "invp/report/html/pictures.h"
#include "invp/report/svg/scatter.h"
#include "invp/report/text/progress.h"
#include "invp/report/text/table.h"
#include "tools/commands/tsne_input.h"
#include "tools/options/command.h"
#include "tools/options/tsne_options.h"

namespace invp::cli {

namespace {

constexpr std::int64_t kAgreementNeighbors = 10;

/// One map, drawn or not yet.
struct Map {
  TsneInput input;
  TsneResult result;
  double agreement = 0;
  double seconds = 0;
  std::filesystem::path file;
};

class TsneCommand : public Command {
 public:
  CommandText text() const override {
    return {.name = "tsne",
            .arguments = "(--features FILE | --checkpoint FILE --data PATH) [options]",
            .summary = "a map of features by t-SNE",
            .description =
                "Maps features into the plane so that neighbors stay neighbors, and draws them\n"
                "colored by class. --out gets the picture tsne.svg and points.safetensors\n"
                "(points [n, 2] f32, labels [n] and indices [n] i64). Several files or\n"
                "checkpoints give several maps side by side. --preset tsne-paper makes the\n"
                "figure of the supplement; tsne-vandermaaten and tsne-opentsne are the defaults\n"
                "of those programs. On SIGINT and SIGTERM (Ctrl-C) the descent ends and the map\n"
                "so far is written, its picture without thumbnails.\n",
            .examples =
                "  invp tsne --features features.safetensors --out runs/a/tsne\n"
                "  invp tsne --preset tsne-paper --data imagenet --out figure2 \\\n"
                "      --checkpoint insdis.safetensors --checkpoint invp.safetensors\n"};
  }

  void declare(Options& options) override {
    inputs_.declare(options);
    settings_.declare(options);
    options.main_group("Picture");
    options.text("out", out_, "DIR", "folder for the points and the picture")
        .required()
        .not_a_setting();
    options.integer("thumbnails", thumbnails_, {0, 10'000}, "images of --data to draw on each map");
    options.text("title", title_, "TEXT", "title of the picture").not_a_setting();
    declare_device(options, device_);
  }

  Results run() override {
    const Compute compute = start_compute(device_);
    announce(compute);
    std::vector<TsneInput> inputs = inputs_.read(compute);
    const auto dataset = inputs_.open(inputs.front().split);
    if (thumbnails_ > 0 && dataset == nullptr)
      throw UsageError("--thumbnails needs --data PATH: where the images are");
    for (TsneInput& input : inputs) {
      if (input.classes.empty() && dataset != nullptr) input.classes = dataset->classes();
      check_numbers(input, dataset.get());
    }
    make_folders(out_);
    std::vector<Map> maps;
    for (TsneInput& input : inputs) {
      if (maps.empty() || stop_signal() == 0)
        maps.push_back(mapped(std::move(input), compute, maps.size()));
      if (!maps.back().result.points.defined()) check_stop();
    }
    const std::filesystem::path picture = std::filesystem::path(out_) / "tsne.svg";
    write_file(picture, picture_of(maps, dataset.get()));
    std::cout << table_of(maps) << picture.string() << '\n';
    check_stop();
    return results_of(maps, picture);
  }

 private:
  /// The labels and places of images may come from a file.
  static void check_numbers(const TsneInput& input, const Dataset* dataset) {
    // Without names there is a class per label: one row must not fill the memory.
    const std::int64_t classes = input.classes.empty() ? 1'000'000 : std::ssize(input.classes);
    for (std::size_t i = 0; i < input.labels.size(); ++i) {
      const std::int64_t label = input.labels[i];
      const std::int64_t index = input.indices[i];
      CHECK(label >= -1 && label < classes, input.name, ": 'labels' holds ", label, " in row ", i,
            ", expected -1 to ", classes - 1);
      CHECK(index >= 0 && (dataset == nullptr || index < dataset->size()), input.name,
            ": 'indices' holds ", index, " in row ", i, ", which is no image of the ",
            dataset == nullptr ? std::string("set") : message(dataset->size(), " of --data"));
    }
  }

  Map mapped(TsneInput input, const Compute& compute, std::size_t number) const {
    Map map{.input = std::move(input)};
    const TsneConfig config = settings_.resolve(map.input.features.dim(1), compute.seed);
    std::optional<ProgressBar> bar;
    const Stopwatch stopwatch;
    std::optional<TsnePhase> phase;
    double kl = std::nan("");
    map.result = tsne(map.input.features, config, [&](const TsneProgress& now) {
      const bool descent = now.phase == TsnePhase::kDescent;
      if (descent) set_unsaved_work(true);  // a step of a large map may outlast a stop's patience
      if (std::isfinite(now.kl)) kl = now.kl;
      if (!phase || *phase != now.phase) {
        phase = now.phase;
        bar.reset();
        descent ? bar.emplace("t-SNE", "iterations") : bar.emplace("neighbors", "points");
      }
      bar->show(now.done, now.total,
                descent && std::isfinite(kl) ? "KL " + formatted("%.3f", kl) : std::string());
      return stop_signal() == 0;
    });
    map.seconds = stopwatch.seconds();
    bar.reset();
    if (!map.result.points.defined()) return map;
    map.agreement = label_agreement(map.result.points, map.input.labels,
                                    std::min(kAgreementNeighbors, map.result.points.dim(0) - 1));
    map.file =
        std::filesystem::path(out_) /
        (number == 0 ? "points.safetensors" : message("points-", number + 1, ".safetensors"));
    const std::int64_t n = map.result.points.dim(0);
    write_safetensors(map.file,
                      TensorFile{.tensors = {{"points", map.result.points},
                                             {"labels", Tensor::from(map.input.labels, {n})},
                                             {"indices", Tensor::from(map.input.indices, {n})}},
                                 .metadata = {{"name", map.input.name},
                                              {"split", map.input.split},
                                              {"kl", message(map.result.kl)},
                                              {"iterations", message(map.result.iterations)}}});
    set_unsaved_work(false);
    return map;
  }

  /// After a stop, without thumbnails, which wait for a disk.
  std::string picture_of(const std::vector<Map>& maps, const Dataset* dataset) const {
    try {
      return drawn(maps, stop_signal() == 0 ? dataset : nullptr);
    } catch (const Stopped&) {
      return drawn(maps, nullptr);
    }
  }

  std::string drawn(const std::vector<Map>& maps, const Dataset* dataset) const {
    std::vector<ScatterPanel> panels;
    constexpr int kPixels = 64;  // twice what is shown, for fine screens
    std::unique_ptr<Thumbnails> pictures;
    if (dataset != nullptr) pictures = std::make_unique<Thumbnails>(*dataset, kPixels);
    for (const Map& map : maps) {
      ScatterPanel panel{
          .title = map.input.name,
          .note = message(map.input.labels.size(), " images, KL ", formatted("%.3f", map.result.kl),
                          ", label agreement ", formatted("%.1f", 100 * map.agreement), " %"),
          .points = map.result.points,
          .labels = map.input.labels,
          .thumbnails = {}};
      const std::int64_t wanted = pictures == nullptr ? 0 : thumbnails_;
      for (const std::int64_t point : thumbnail_places(map.result.points, wanted)) {
        panel.thumbnails.push_back(
            {point, pictures->uri(map.input.indices[static_cast<std::size_t>(point)])});
      }
      panels.push_back(std::move(panel));
    }
    return scatter_svg(title_.empty() ? "t-SNE" : title_, panels, maps.front().input.classes);
  }

  static std::string table_of(const std::vector<Map>& maps) {
    Table table(
        {"map", ">images", ">dim", "method", ">iterations", ">seconds", ">KL", ">10-NN agreement"});
    for (const Map& map : maps) {
      table.row({map.input.name, message(map.input.labels.size()),
                 message(map.input.features.dim(1)), name_of(map.result.method),
                 message(map.result.iterations), formatted("%.1f", map.seconds),
                 formatted("%.4f", map.result.kl), formatted("%.2f %%", 100 * map.agreement)});
    }
    return table.text();
  }

  static Results figures_of(const Map& map) {
    return {{"name", map.input.name},
            {"kl", map.result.kl},
            {"points", map.file.string()},
            {"label_agreement", map.agreement},
            {"images", map.input.labels.size()},
            {"method", name_of(map.result.method)},
            {"iterations", map.result.iterations},
            {"seconds", map.seconds}};
  }

  /// The first map's figures; with several, those of all under "maps".
  static Results results_of(const std::vector<Map>& maps, const std::filesystem::path& picture) {
    Results results = figures_of(maps.front());
    results["picture"] = picture.string();
    if (maps.size() > 1) {
      results["maps"] = Results::array();
      for (const Map& map : maps) results["maps"].push_back(figures_of(map));
    }
    return results;
  }

  TsneInputs inputs_;
  TsneOptions settings_;
  std::string out_;
  std::string title_;
  std::int64_t thumbnails_ = 0;
  DeviceOptions device_;
};

}  // namespace

void add_tsne(Commands& commands) {
  commands.push_back(std::make_unique<TsneCommand>());
}

}  // namespace invp::cli
