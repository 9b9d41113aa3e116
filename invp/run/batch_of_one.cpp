#include "invp/run/batch_of_one.h"

#include <algorithm>

#include "engine/core/error.h"

namespace invp {

namespace {

/// Equal parts but for the last, as torch.chunk has them.
std::int64_t smallest_part(std::int64_t count, std::int64_t groups) {
  const std::int64_t part = (count + groups - 1) / groups;
  return count % part == 0 ? part : count % part;
}

bool has_part_of_one(std::int64_t images, std::int64_t batch_size, std::int64_t groups) {
  const std::int64_t last = images % batch_size;
  return (images >= batch_size && smallest_part(batch_size, groups) == 1) ||
         (last > 0 && smallest_part(last, groups) == 1);
}

}  // namespace

void check_batches(std::int64_t images, std::int64_t batch_size, std::int64_t groups,
                   int last_map) {
  if (last_map > 1 || !has_part_of_one(images, batch_size, groups)) return;
  std::int64_t other = batch_size - 1;
  while (other > 1 && has_part_of_one(images, other, groups)) --other;
  fail("--batch-size ", batch_size, ": of ", images, " images one would stand alone in a batch",
       groups > 1 ? " or in one of its --bn-groups" : "", ", and batch norm cannot train on it ",
       "(the network's last map is one pixel); ",
       other > 1 ? message("--batch-size ", other, " avoids it")
                 : std::string("give more images, or larger ones"));
}

}  // namespace invp
