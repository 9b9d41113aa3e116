// A file of plans, which is a cache: it is never refused.
#include "engine/plans/plan_file.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace invp;
  static const fuzz::Folder folder;
  const auto path = folder.write("plans.json", fuzz::Bytes(data, size));
  PlanFile plans(path, "place");
  plans.find("problem");
  plans.record("another", {.plan = "eng0", .microseconds = 2});
  if (!PlanFile(path, "place").find("another")) fuzz::fault("a plan that was written is not there");
  return 0;
}
