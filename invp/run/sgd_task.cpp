#include "invp/run/sgd_task.h"

#include <utility>

namespace invp {

SgdTask::SgdTask(Sgd optimizer, std::vector<Schedule> rates, int losses, Device device)
    : device_(device),
      optimizer_(std::move(optimizer)),
      rates_(std::move(rates)),
      queue_(losses, device) {}

void SgdTask::step(const Batch& batch, const Progress& progress) {
  queue_.begin();
  for (std::size_t group = 0; group < rates_.size(); ++group)
    optimizer_.set_learning_rate(group, rates_[group](progress));
  optimizer_.zero_grad();
  queue_.log(losses_with_gradients(batch, progress), {});
  optimizer_.step({.halted = queue_.halted()});
  optimizer_.zero_grad();  // so that the next forward pass can use the memory
  queue_.end();
}

}  // namespace invp
