// What a report reads of a run's folder: metrics.jsonl, layers.csv, points.safetensors.
#include "invp/report/html/run_files.h"

#include "invp/report/text/metrics_writer.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace invp;
  static const fuzz::Folder folder;
  const auto path = folder.write("file", fuzz::Bytes(data, size));
  std::vector<std::int64_t> bad_lines;
  fuzz::reads([&] {
    for (const EpochReport& epoch : read_metrics(path, bad_lines)) metrics_line(epoch);
  });
  fuzz::reads([&] { read_metrics(path); });
  fuzz::reads([&] {
    const LayerTable table = read_layer_table(path);
    for (const LayerTable::Row& row : table.rows) {
      if (row.values.size() != table.measures.size()) fuzz::fault("a row of another length");
    }
  });
  fuzz::reads([&] { read_plot_points(path); });
  return 0;
}
