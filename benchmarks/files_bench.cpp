// What checksums cost: a checkpoint of 900 MB, as of ResNet-50 with the bank of ImageNet's
// 1,281,167 images, written and read back on one core. BENCH_FOLDER names the folder; in memory
// (/dev/shm), the disk does not count.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <filesystem>

#include "engine/files/checksum.h"
#include "engine/files/safetensors.h"

namespace invp {
namespace {

constexpr std::int64_t kImages = 1'281'167;

std::filesystem::path file() {
  const char* const folder = std::getenv("BENCH_FOLDER");
  return std::filesystem::path(folder == nullptr ? "." : folder) / "bench.safetensors";
}

const TensorFile& checkpoint() {
  static const TensorFile file{.tensors = {{"bank", Tensor::full({kImages, 128}, 0.25F)},
                                           {"neighbors", Tensor::full({kImages, 4}, 1.0F)},
                                           {"model", Tensor::full({25'600'000}, 0.5F)},
                                           {"optimizer", Tensor::full({25'600'000}, 0.5F)}}};
  return file;
}

std::int64_t bytes() {
  std::size_t bytes = 0;
  for (const auto& [name, tensor] : checkpoint().tensors) bytes += tensor.nbytes();
  return static_cast<std::int64_t>(bytes);
}

void done(benchmark::State& state) {
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * bytes());
}

void BM_Checksum(benchmark::State& state) {
  for (auto _ : state) {
    std::uint32_t crc = 0;
    for (const auto& [name, tensor] : checkpoint().tensors)
      crc = crc32c(std::span(static_cast<const std::byte*>(tensor.raw()), tensor.nbytes()), crc);
    benchmark::DoNotOptimize(crc);
  }
  done(state);
}
BENCHMARK(BM_Checksum)->Unit(benchmark::kMillisecond);

void BM_Write(benchmark::State& state) {
  checkpoint();
  for (auto _ : state) write_safetensors(file(), checkpoint());
  done(state);
}
BENCHMARK(BM_Write)->Unit(benchmark::kMillisecond);

void BM_Verify(benchmark::State& state) {
  write_safetensors(file(), checkpoint());
  for (auto _ : state) check_safetensors(file(), [](std::uint64_t) {});
  done(state);
}
BENCHMARK(BM_Verify)->Unit(benchmark::kMillisecond);

void BM_Read(benchmark::State& state) {
  write_safetensors(file(), checkpoint());
  for (auto _ : state) benchmark::DoNotOptimize(read_safetensors(file()).tensors.size());
  done(state);
  std::filesystem::remove(file());
}
BENCHMARK(BM_Read)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace invp
