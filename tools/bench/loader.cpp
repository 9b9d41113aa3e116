// invp bench loader: from files to batches on the device.
#include <iostream>
#include <nlohmann/json.hpp>

#include "data/load/batch_feed.h"
#include "engine/core/memory.h"
#include "invp/report/text/table.h"
#include "tools/bench/bench.h"
#include "tools/bench/timing.h"
#include "tools/options/augment_options.h"
#include "tools/options/data_options.h"
#include "tools/options/device_options.h"

namespace invp::cli {

namespace {

class BenchLoader : public Command {
 public:
  CommandText text() const override {
    return {.name = "bench loader",
            .arguments = "--data PATH [options]",
            .summary = "from files to batches on the device",
            .description =
                "Times the loader on a training set: images are read, decoded, augmented and put\n"
                "into batches on the device. One measured run is one epoch.\n",
            .examples = "  invp bench loader --data photos --augment imagenet --workers 2\n"};
  }

  void declare(Options& options) override {
    options_ = &options;
    options.main_group("Work");
    options.integer("batch-size", batch_, {1, 65536}, "images per batch");
    options.integer("repeats", repeats_, {1, 1e6}, "measured epochs; the median counts");
    options.integer("stop-after", stop_after_, {0, 1e9}, "batches per epoch; 0: all");
    declare_data(options, data_);
    augment_.declare(options);
    declare_augment_on(options, data_);
    declare_decode_on(options, data_);
    declare_device(options, device_);
  }

  Results run() override {
    const Compute compute = start_compute(device_);
    const auto dataset = open_dataset(data_source(data_), "train");
    const AugmentConfig augment = augment_.resolve(*options_);
    const int workers = worker_count(data_);
    BatchFeed loader(*dataset, augment,
                     {.batch_size = batch_,
                      .workers = workers,
                      .seed = compute.seed,
                      .augment_on = augment_on(data_).value_or(best_augment_on(compute.device)),
                      .decode_on = decode_on(data_, augment, compute.device)},
                     compute.device);
    reset_peak_memory(compute.device);
    std::int64_t epoch = 0;
    std::int64_t images = 0;
    const Timing timing = measure({compute.device, 1, repeats_}, [&] {
      loader.start_epoch(++epoch);
      images = 0;
      for (std::int64_t batches = 0; stop_after_ == 0 || batches < stop_after_; ++batches) {
        const std::optional<Batch> batch = loader.next();
        if (!batch) break;
        images += batch->images.dim(0);
      }
    });
    const double rate = static_cast<double>(images) * 1000 / timing.median;
    Table table({"loader", ">median ms", ">min .. max", ">images/s", ">per worker"});
    table.row({message(images, " images to ", augment.image_size, "x", augment.image_size, ", ",
                       workers, workers == 1 ? " worker" : " workers"),
               format_ms(timing.median), format_spread(timing), formatted("%.0f", rate),
               formatted("%.0f", rate / workers)});
    std::cout << table.text();
    if (!loader.bad_images().empty())
      std::cout << "  " << loader.bad_images().size() << " broken images were left out\n";
    Results results = timing_results(timing, compute.device);
    results["images_per_second"] = rate;
    return results;
  }

 private:
  const Options* options_ = nullptr;
  int batch_ = 128;
  int repeats_ = 3;
  std::int64_t stop_after_ = 0;
  DataOptions data_;
  AugmentOptions augment_;
  DeviceOptions device_;
};

}  // namespace

void add_bench_loader(Commands& commands) {
  commands.push_back(std::make_unique<BenchLoader>());
}

void add_bench(Commands& commands) {
  add_bench_layer(commands);
  add_bench_kernels(commands);
  add_bench_step(commands);
  add_bench_infer(commands);
  add_bench_detect(commands);
  add_bench_search(commands);
  add_bench_knn(commands);
  add_bench_loader(commands);
  add_bench_comm(commands);
  add_bench_tsne(commands);
}

}  // namespace invp::cli
