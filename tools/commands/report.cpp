// invp report: runs side by side on one page.
#include <iostream>
#include <nlohmann/json.hpp>

#include "engine/files/atomic_file.h"
#include "tools/commands/report_run.h"
#include "tools/options/command.h"

namespace invp::cli {

namespace {

class ReportCommand : public Command {
 public:
  CommandText text() const override {
    return {.name = "report",
            .arguments = "RUN... [--to FILE]",
            .summary = "one HTML page on a run, or on several side by side",
            .description =
                "Writes one self-contained HTML file: results, curves, settings and where they\n"
                "differ, the positives discovered of sample images step by step, their nearest\n"
                "neighbors, and what invp linear and invp tsne left in or under the run\n"
                "folders. What a run lacks is left out, and the page says so.\n",
            .examples =
                "  invp report runs/cifar10\n"
                "  invp report runs/paper runs/released --to compared.html\n"};
  }

  void declare(Options& options) override {
    options.positionals("RUN...", folders_, "run folders");
    options.group("Report");
    options.text("to", to_, "FILE", "the page")
        .shown_default("RUN/report.html, or report.html for several runs")
        .not_a_setting();
    options.text("data", data_, "PATH", "where the images are now, if they were moved")
        .not_a_setting();
    options.integer("anchors", report_.anchors, {1, 100}, "sample images").not_a_setting();
    options.integer("nearest", report_.nearest, {1, 1000}, "neighbors shown of each")
        .not_a_setting();
  }

  Results run() override {
    const std::filesystem::path file = !to_.empty()          ? std::filesystem::path(to_)
                                       : folders_.size() > 1 ? std::filesystem::path("report.html")
                                                             : folder() / "report.html";
    write_file(file, report_html(report_runs(folders_, data_), report_));
    std::cout << file.string() << '\n';
    return {{"report", file.string()}};
  }

 private:
  std::filesystem::path folder() const { return folders_.front(); }

  std::vector<std::string> folders_;
  std::string to_;
  std::string data_;
  ReportOptions report_;
};

}  // namespace

void add_report(Commands& commands) {
  commands.push_back(std::make_unique<ReportCommand>());
}

}  // namespace invp::cli
