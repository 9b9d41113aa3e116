// Which algorithm of a library computes a problem on which machine, kept from run to run. A file is
// a cache: entries that cannot be read, or come from another machine, are ignored.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>

namespace invp {

/// One algorithm of a library for one problem.
struct PlanChoice {
  std::string plan = {};    ///< what the library calls it; empty: it cannot compute the problem
  double microseconds = 0;  ///< as measured; 0: taken unmeasured

  bool exists() const { return !plan.empty(); }
};

/// The choices of one place: the library's version, the driver and the GPU, in words. Choices of
/// other places stay in the file. Several processes may share a file: each adds its choices to
/// those of the others, and readers see whole files only.
class PlanFile {
 public:
  /// Reads what the file holds for the place. A missing or damaged file holds nothing.
  PlanFile(std::filesystem::path path, std::string place);
  /// Of what a file held that another process has read: nothing is written.
  static PlanFile given(const std::string& text, std::string place);

  std::optional<PlanChoice> find(const std::string& problem) const;
  /// Keeps the choice, here and in the file. Creates the file and its folder. Throws Error if it
  /// cannot be written.
  void record(const std::string& problem, const PlanChoice& choice);

 private:
  explicit PlanFile(std::string place) : place_(std::move(place)) {}
  void take(const std::string& text);
  void write() const;

  std::filesystem::path path_;
  std::string place_;
  std::map<std::string, PlanChoice> choices_;
};

/// The user's own file: $INVP_PLAN_CACHE, or else plans.json in $XDG_CACHE_HOME/invp or
/// ~/.cache/invp; empty where there is no home.
std::filesystem::path user_plan_file();

/// The file of the run that this process works on; empty if there is none. Its choices are taken
/// before all others, and every choice made is written to it, so that the run computes the same
/// bits when it is resumed. Set before any work on a GPU.
void set_run_plan_file(std::filesystem::path path);
const std::filesystem::path& run_plan_file();

/// Choices for processes that must all make the same: what the run's file and the user's held for
/// one of them. They are taken in place of this process's own files, and nothing is measured: times
/// differ from process to process. Only a file set by set_run_plan_file() is still written.
struct GivenPlans {
  bool given = false;
  std::string of_run;
  std::string of_user;
};
void set_given_plans(GivenPlans plans);
const GivenPlans& given_plans();
/// The whole file; empty if there is none.
std::string plan_text(const std::filesystem::path& path);

}  // namespace invp
