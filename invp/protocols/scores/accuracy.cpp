#include "invp/protocols/scores/accuracy.h"

namespace invp {

namespace {

/// How many classes come before `label`, in descending order of logits.
std::int64_t rank_of(std::span<const float> logits, std::size_t label) {
  const float own = logits[label];
  std::int64_t before = 0;
  for (std::size_t other = 0; other < logits.size(); ++other) {
    if (other == label) continue;
    const bool after = logits[other] < own || (logits[other] == own && other > label);
    before += after ? 0 : 1;
  }
  return before;
}

double per_cent(std::int64_t part, std::int64_t whole) {
  return whole == 0 ? 0 : 100 * static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

Accuracy::Accuracy(std::int64_t classes) : classes_(static_cast<std::size_t>(classes)) {}

void Accuracy::add(const Tensor& logits, std::span<const std::int64_t> labels) {
  const auto classes = std::ssize(classes_);
  CHECK(logits.shape() == Shape({std::ssize(labels), classes}) && logits.dtype() == DType::kF32,
        "[accuracy] logits ", logits.dtype(), logits.shape(), " for ", labels.size(), " labels of ",
        classes, " classes");
  const Tensor host = logits.to(kCpu);
  for (std::size_t i = 0; i < labels.size(); ++i) {
    CHECK(labels[i] >= 0 && labels[i] < classes, "[accuracy] label ", labels[i], " of ", classes,
          " classes");
    const auto label = static_cast<std::size_t>(labels[i]);
    const std::int64_t rank =
        rank_of(host.span<float>().subspan(i * classes_.size(), classes_.size()), label);
    ++classes_[label].images;
    classes_[label].right += rank == 0 ? 1 : 0;
    among_five_ += rank < 5 ? 1 : 0;
    ++images_;
  }
}

void Accuracy::add_up(Communicator& ranks) {
  std::vector<std::int64_t> counts = {images_, among_five_};
  for (const Class& one : classes_) counts.insert(counts.end(), {one.images, one.right});
  const Tensor sums = Tensor::from(counts, {std::ssize(counts)});
  ranks.all_reduce("accuracy", sums);
  const auto sum = sums.span<std::int64_t>();
  images_ = sum[0];
  among_five_ = sum[1];
  for (std::size_t i = 0; i < classes_.size(); ++i)
    classes_[i] = {.images = sum[2 + 2 * i], .right = sum[3 + 2 * i]};
}

double Accuracy::top1() const {
  std::int64_t right = 0;
  for (const Class& one : classes_) right += one.right;
  return per_cent(right, images_);
}

double Accuracy::top5() const {
  return per_cent(among_five_, images_);
}

double Accuracy::mean_per_class() const {
  double sum = 0;
  std::int64_t shown = 0;
  for (const Class& one : classes_) {
    sum += per_cent(one.right, one.images);
    shown += one.images > 0 ? 1 : 0;
  }
  return shown == 0 ? 0 : sum / static_cast<double>(shown);
}

}  // namespace invp
