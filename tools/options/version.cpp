#include "tools/options/version.h"

#include "commit.h"

namespace invp::cli {

BuildFacts build_facts() {
  return {.commit = INVP_COMMIT,
#ifdef __clang__
          .compiler = __VERSION__,
#else
          .compiler = "GCC " __VERSION__,
#endif
          .type = INVP_BUILD_TYPE,
          .flags = INVP_BUILD_FLAGS};
}

std::string version() {
  return INVP_VERSION;
}

std::string version_line() {
  const BuildFacts build = build_facts();
  return "invp " + version() + " (commit " + build.commit + ", " + build.type + ", " +
         build.compiler + ")";
}

}  // namespace invp::cli
