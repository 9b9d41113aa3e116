// How two values of different ranks become one, on CPUs and GPUs alike.
#pragma once

#include "engine/core/host_device.h"

namespace invp {

template <class T>
struct Sum {
  HOST_DEVICE T operator()(T a, T b) const { return a + b; }
};
/// A NaN stays.
template <class T>
struct Larger {
  HOST_DEVICE T operator()(T a, T b) const { return a > b || a != a ? a : b; }
};
template <class T>
struct Smaller {
  HOST_DEVICE T operator()(T a, T b) const { return a < b || a != a ? a : b; }
};

}  // namespace invp
