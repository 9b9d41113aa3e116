// All that training moves, and whether two trainers have it alike.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "invp/method/trainer.h"
#include "tests/support/close.h"

namespace invp::testing {

/// On the host.
inline std::vector<NamedTensor> state_of(Trainer& trainer) {
  std::vector<NamedTensor> state = trainer.network().state();
  for (const SgdParameter& item : trainer.optimizer().state())
    state.push_back({"momentum." + item.name, item.tensor});
  state.push_back({"bank", trainer.bank().rows()});
  state.push_back({"graph", trainer.graph().rows()});
  for (NamedTensor& item : state) item.tensor = item.tensor.to(kCpu).clone();
  return state;
}

inline void expect_same_state(const std::vector<NamedTensor>& a,
                              const std::vector<NamedTensor>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    SCOPED_TRACE(a[i].name);
    ASSERT_EQ(a[i].name, b[i].name);
    expect_identical(a[i].tensor, b[i].tensor);
  }
}

inline void expect_same_state(Trainer& a, Trainer& b) {
  expect_same_state(state_of(a), state_of(b));
}

}  // namespace invp::testing
