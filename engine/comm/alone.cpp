#include "engine/comm/communicator.h"
#include "engine/core/error.h"

namespace invp {

namespace {

class Alone final : public Communicator {
 public:
  Ranks ranks() const override { return {}; }
  void all_reduce(const char* /*name*/, const Tensor& /*x*/, Reduction /*reduction*/,
                  SumOrder /*order*/) override {}
  void all_gather(const char* name, const Tensor& mine, const Tensor& all) override {
    copy(name, mine, all);
  }
  void all_to_all(const char* name, const Tensor& out, const Tensor& in) override {
    copy(name, in, out);
  }
  void broadcast(const char* name, const Tensor& /*x*/, int root) override {
    CHECK(root == 0, "[", name, "] no rank ", root, " among 1");
  }
  std::shared_ptr<Communicator> split(int /*color*/) override { return invp::alone(); }
  void wait(const DeviceMark& mark) override { mark.wait(); }

 private:
  static void copy(const char* name, const Tensor& from, const Tensor& to) {
    CHECK(from.numel() == to.numel(), "[", name, "] ", from.shape(), " to ", to.shape());
    to.view(from.shape()).copy_from(from);
  }
};

}  // namespace

std::shared_ptr<Communicator> alone() {
  return std::make_shared<Alone>();
}

}  // namespace invp
