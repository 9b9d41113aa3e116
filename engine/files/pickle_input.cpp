#include "engine/files/pickle_input.h"

#include <algorithm>

namespace invp {

std::span<const std::byte> PickleInput::take(std::uint64_t count) {
  constexpr std::uint64_t kWindow = 1 << 18;
  const std::uint64_t window_end = window_begin_ + window_.size();
  if (position_ > window_end || count > window_end - position_) {
    CHECK(file_ != nullptr && count <= left(), name_, ": at byte ", position_, ": no ", count,
          " bytes are left");
    buffer_.resize(static_cast<std::size_t>(std::min(left(), std::max(count, kWindow))));
    file_->read(position_, buffer_);
    window_ = buffer_;
    window_begin_ = position_;
  }
  const auto part = window_.subspan(static_cast<std::size_t>(position_ - window_begin_),
                                    static_cast<std::size_t>(count));
  position_ += count;
  return part;
}

}  // namespace invp
