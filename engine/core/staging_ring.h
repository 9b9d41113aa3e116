// Keeps account of which part of a buffer is free, when places are taken and given back in the same
// order. Knows nothing of memory or devices.
#pragma once

#include <cstddef>
#include <deque>

namespace invp {

class StagingRing {
 public:
  static constexpr std::size_t kFull = ~std::size_t{0};

  explicit StagingRing(std::size_t capacity) : capacity_(capacity) {}

  /// The offset of `bytes` contiguous bytes, or kFull until older places are given back. More bytes
  /// than the capacity always give kFull.
  std::size_t take(std::size_t bytes) {
    const std::size_t wanted = (bytes + kAlignment - 1) / kAlignment * kAlignment;
    if (places_.empty()) next_ = 0;
    const std::size_t oldest = places_.empty() ? capacity_ : places_.front().begin;
    const bool wrapped = !places_.empty() && next_ <= oldest;
    std::size_t begin = next_;
    if (wrapped) {
      if (begin + wanted > oldest) return kFull;
    } else if (begin + wanted > capacity_) {
      begin = 0;  // the rest of the buffer is left unused until the ring comes round
      if (places_.empty() || wanted > oldest) return kFull;
    }
    places_.push_back({begin});
    next_ = begin + wanted;
    return begin;
  }

  void give_back_oldest() { places_.pop_front(); }
  std::size_t places() const { return places_.size(); }

 private:
  static constexpr std::size_t kAlignment = 256;
  struct Place {
    std::size_t begin;
  };

  std::size_t capacity_;
  std::size_t next_ = 0;  ///< where the next place would begin
  std::deque<Place> places_;
};

}  // namespace invp
