// The benchmarks of invp bench, one per file.
#pragma once

#include "tools/options/command.h"

namespace invp::cli {

void add_bench_layer(Commands& commands);
void add_bench_kernels(Commands& commands);
void add_bench_step(Commands& commands);
void add_bench_infer(Commands& commands);
void add_bench_detect(Commands& commands);
void add_bench_search(Commands& commands);
void add_bench_knn(Commands& commands);
void add_bench_loader(Commands& commands);
void add_bench_comm(Commands& commands);
void add_bench_tsne(Commands& commands);

}  // namespace invp::cli
