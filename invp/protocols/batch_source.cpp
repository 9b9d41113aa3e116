#include "invp/protocols/batch_source.h"

#include "engine/core/parallel.h"

namespace invp {

DataWait ImageSource::reading() const {
  return {.workers = workers_,
          .cores = usable_cores(),
          .packed = dataset_.kind() == "pack",
          .storage = dataset_.storage()};
}

}  // namespace invp
