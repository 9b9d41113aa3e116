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
            .summary = "an HTML page about one run, or several side by side",
            .description =
                "Writes one self-contained HTML file: results, curves, settings and how they\n"
                "differ, the positives of sample images step by step, their nearest neighbors,\n"
                "and results of invp linear and invp tsne in the run folders or below them. Of\n"
                "invp detect train: detections beside the objects, curves, mistakes and misses.\n"
                "The page says what a run lacks.\n",
            .examples =
                "  invp report runs/cifar10\n"
                "  invp report runs/paper runs/released --to compared.html\n"};
  }

  void declare(Options& options) override {
    options.positionals("RUN...", folders_, "run folders; one or more");
    options.main_group("Report");
    options.text("to", to_, "FILE", "file for the page")
        .shown_default("RUN/report.html, or report.html for several runs")
        .not_a_setting();
    options.text("data", data_, "PATH", "where the images are now, if they were moved")
        .not_a_setting();
    options.integer("anchors", report_.anchors, {1, 100}, "sample images").not_a_setting();
    options.integer("nearest", report_.nearest, {1, 1000}, "neighbors shown per sample image")
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
