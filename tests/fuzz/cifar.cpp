// CIFAR's files: pickled batches and names, and the binary form.
#include "data/sets/cifar.h"

#include "data/sets/cifar_pickle.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace invp;
  static const fuzz::Folder folder("test", {"meta", "train.bin", "fine_label_names.txt"});
  const auto batch = folder.write("test", fuzz::Bytes(data, size));
  for (const char* key : {"labels", "fine_labels"}) {
    fuzz::reads([&] {
      const CifarRecords records = read_cifar_pickle(batch, key);
      if (records.planes.size() != records.labels.size() * kCifarPixels)
        fuzz::fault("a label without its pixels");
    });
  }
  fuzz::reads([&] { read_cifar_names(folder.path(), 10); });
  fuzz::reads([&] { recognise_cifar(folder.path()); });
  for (const Cifar version : {Cifar::k10, Cifar::k100}) {
    for (const bool train : {true, false}) {
      fuzz::reads([&] {
        const auto set = open_cifar(folder.path(), version, train);
        Sample sample;
        if (set->size() > 0) set->fetch(set->size() - 1, sample);
      });
    }
  }
  return 0;
}
