#include "engine/plans/plan_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "engine/files/atomic_file.h"
#include "engine/files/json_text.h"

namespace invp {

namespace {

using Json = nlohmann::json;

constexpr int kFormat = 1;

// {"format": 1, "places": {PLACE: {PROBLEM: {"plan": "eng67_k2=1", "microseconds": 93}, PROBLEM:
// {"plan": ""}}}}

/// The content of the file; empty if it is missing, damaged or of another format.
Json parse(const std::string& text) {
  // Copies of what is nested without end would exhaust the stack.
  constexpr int kDeepest = 8;
  const auto shallow = [](int depth, Json::parse_event_t, Json&) { return depth <= kDeepest; };
  Json document = Json::parse(text, shallow, /*allow_exceptions=*/false);
  const bool good = document.is_object() && document.value("format", Json()) == kFormat &&
                    document.value("places", Json()).is_object();
  if (good) return document;
  return {{"format", kFormat}, {"places", Json::object()}};
}

Json read(const std::filesystem::path& path) {
  return parse(plan_text(path));
}

std::optional<PlanChoice> choice_of(const Json& entry) {
  if (!entry.is_object() || !entry.value("plan", Json()).is_string()) return std::nullopt;
  PlanChoice choice{.plan = entry["plan"].get<std::string>()};
  const Json time = entry.value("microseconds", Json());
  if (time.is_number()) choice.microseconds = time.get<double>();
  return choice;
}

Json entry_of(const PlanChoice& choice) {
  Json entry = {{"plan", choice.plan}};
  if (choice.microseconds > 0) entry["microseconds"] = choice.microseconds;
  return entry;
}

/// A lock on a folder, held by one process at a time while the object lives. Some network file
/// systems have no such lock: of two writers at once, one then loses its newest choices.
class FolderLock {
 public:
  explicit FolderLock(const std::filesystem::path& folder)
      : fd_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    while (fd_ >= 0 && ::flock(fd_, LOCK_EX) != 0 && errno == EINTR) {
    }
  }
  ~FolderLock() {
    if (fd_ >= 0) ::close(fd_);
  }
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int fd_;
};

std::filesystem::path& run_file() {
  static std::filesystem::path path;
  return path;
}

GivenPlans& given() {
  static GivenPlans plans;
  return plans;
}

}  // namespace

PlanFile::PlanFile(std::filesystem::path path, std::string place)
    : path_(std::filesystem::absolute(path)), place_(std::move(place)) {
  take(plan_text(path_));
}

PlanFile PlanFile::given(const std::string& text, std::string place) {
  PlanFile file(std::move(place));
  file.take(text);
  return file;
}

void PlanFile::take(const std::string& text) {
  const Json document = parse(text);
  const Json entries = document["places"].value(place_, Json::object());
  if (!entries.is_object()) return;
  for (const auto& [problem, entry] : entries.items()) {
    if (const std::optional<PlanChoice> choice = choice_of(entry)) choices_[problem] = *choice;
  }
}

std::optional<PlanChoice> PlanFile::find(const std::string& problem) const {
  const auto found = choices_.find(problem);
  if (found == choices_.end()) return std::nullopt;
  return found->second;
}

void PlanFile::record(const std::string& problem, const PlanChoice& choice) {
  choices_[problem] = choice;
  if (!path_.empty()) write();
}

void PlanFile::write() const {
  std::error_code ignored;  // the file that needs the folder reports the error
  std::filesystem::create_directories(path_.parent_path(), ignored);
  const FolderLock lock(path_.parent_path());
  Json document = read(path_);
  Json& entries = document["places"][place_];
  if (!entries.is_object()) entries = Json::object();
  for (const auto& [problem, choice] : choices_) entries[problem] = entry_of(choice);
  write_file(path_, json_text(document, 1) + '\n');
}

std::filesystem::path user_plan_file() {
  const auto variable = [](const char* name) {
    const char* const value = std::getenv(name);
    return std::filesystem::path(value == nullptr ? "" : value);
  };
  if (const auto file = variable("INVP_PLAN_CACHE"); !file.empty()) return file;
  if (const auto cache = variable("XDG_CACHE_HOME"); cache.is_absolute()) {
    return cache / "invp" / "plans.json";
  }
  if (const auto home = variable("HOME"); !home.empty()) {
    return home / ".cache" / "invp" / "plans.json";
  }
  return {};
}

void set_run_plan_file(std::filesystem::path path) {
  run_file() = std::move(path);
}

const std::filesystem::path& run_plan_file() {
  return run_file();
}

void set_given_plans(GivenPlans plans) {
  given() = std::move(plans);
}

const GivenPlans& given_plans() {
  return given();
}

std::string plan_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace invp
