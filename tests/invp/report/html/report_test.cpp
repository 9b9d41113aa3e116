// The HTML report, read back by a strict reader: well-formed, asking nothing of a network, showing
// what is there and saying what is not.
#include "invp/report/html/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "data/sets/synthetic_dataset.h"
#include "engine/core/error.h"
#include "engine/files/safetensors.h"
#include "invp/method/memory_bank.h"
#include "invp/report/html/html.h"
#include "invp/run/identity.h"
#include "tests/support/html.h"
#include "tests/support/temp_folder.h"

namespace invp {
namespace {

using ::testing::HasSubstr;
using testing::HtmlElement;
using testing::HtmlPage;
using ::testing::Not;
using testing::TempFolder;

constexpr std::int64_t kImages = 40;

/// A run with everything, in a folder of its own.
class ReportTest : public ::testing::Test {
 protected:
  void write_metrics(const std::string& run, int epochs) {
    std::string lines;
    for (int epoch = 1; epoch <= epochs; ++epoch) {
      lines += nlohmann::json{{"epoch", epoch},
                              {"loss", 6.5 - epoch},
                              {"loss_ins", 6.0 - epoch},
                              {"loss_inv", 0.5},
                              {"learning_rate", 0.03 / epoch},
                              {"knn_top1", 30 + epoch},
                              {"knn_top5", 70 + epoch},
                              {"positive_purity", 40 + epoch},
                              {"hard_positive_purity", 20 + epoch},
                              {"seconds", 60},
                              {"images_per_second", 800},
                              {"data_wait", 0.02},
                              {"peak_memory_bytes", 123'000'000}}
                   .dump() +
               "\n";
    }
    folder.write(run + "/metrics.jsonl", lines);
  }

  /// Image i is linked to i + 1 and i + 2, so that l steps from it discover the 2 l that follow.
  void write_checkpoint(const std::string& run) {
    std::vector<std::int32_t> graph;
    for (std::int64_t i = 0; i < kImages; ++i) {
      graph.push_back(static_cast<std::int32_t>((i + 1) % kImages));
      graph.push_back(static_cast<std::int32_t>((i + 2) % kImages));
    }
    std::filesystem::create_directories(folder / (run + "/checkpoints"));
    const std::vector<std::pair<std::string, Tensor>> tensors{
        {"bank", MemoryBank(kImages, 8, 3).rows()},
        {"neighbors", Tensor::from(graph, {kImages, 2})}};
    write_safetensors(
        folder / (run + "/checkpoints/last.safetensors"), tensors,
        {{"kind", "invp-checkpoint-2"}, {"run.training images", training_images(*data).value}});
  }

  void write_points(const std::string& run, const Dataset& set) {
    std::vector<float> points;
    std::vector<std::int64_t> labels;
    std::vector<std::int64_t> indices;
    for (std::int64_t i = 0; i < kImages; i += 2) {
      points.push_back(static_cast<float>(i));
      points.push_back(static_cast<float>(i * i));
      labels.push_back(set.label(i));
      indices.push_back(i);
    }
    const auto n = std::ssize(labels);
    std::filesystem::create_directories(folder / (run + "/tsne"));
    const std::vector<std::pair<std::string, Tensor>> tensors{
        {"points", Tensor::from(points, {n, 2})},
        {"labels", Tensor::from(labels, {n})},
        {"indices", Tensor::from(indices, {n})}};
    write_safetensors(folder / (run + "/tsne/points.safetensors"), tensors);
  }

  ReportRun whole_run(const std::string& name) {
    write_metrics(name, 3);
    write_checkpoint(name);
    write_points(name, *data);
    folder.write(name + "/linear/layers.csv",
                 "tap,block,dims,top-1,top-5\n1,stem,64,10.5,40\n2,layer1.0,256,31.25,60\n"
                 "3,layer1.1,256,29,\n");
    ReportRun run{.name = name,
                  .folder = folder / name,
                  .settings = {{"arch", "resnet18-cifar"}, {"epochs", "3"}, {"lr", "0.03"}},
                  .objective = {},
                  .open = [this](std::string_view) { return data; }};
    run.objective.neighbors = 2;
    run.objective.steps = 3;
    run.objective.hard_positives = 4;
    run.objective.warm_epochs = 1;
    return run;
  }

  TempFolder folder;
  std::shared_ptr<const Dataset> data =
      open_synthetic({.classes = 4, .size = 16}, SyntheticSplit::kTrain, kImages);
};

void expect_self_contained(const std::string& text, const HtmlPage& page) {
  EXPECT_THAT(text, Not(HasSubstr("http:")));
  EXPECT_THAT(text, Not(HasSubstr("https:")));
  EXPECT_THAT(text, Not(HasSubstr("@import")));
  EXPECT_THAT(text, HasSubstr("default-src 'none'; img-src data:"));
  for (const HtmlElement& element : page.elements()) {
    EXPECT_NE(element.name, "link");
    EXPECT_NE(element.name, "iframe");
    for (const auto& [name, value] : element.attributes) {
      if (name == "src") {
        EXPECT_THAT(value, ::testing::StartsWith("data:image/jpeg;base64,/9j/"));
      }
      if (name == "href") {
        EXPECT_THAT(value, ::testing::StartsWith("#"));
      }
      EXPECT_FALSE(name.starts_with("on")) << name;
    }
  }
}

TEST_F(ReportTest, AWholeRunShowsEverything) {
  const std::string text = report_html(std::vector{whole_run("first")});
  const HtmlPage page(text);
  expect_self_contained(text, page);
  for (const char* title : {"At a glance", "Over the epochs", "Accuracy of each block",
                            "Discovered positives", "Nearest neighbors", "t-SNE", "Settings"})
    EXPECT_THAT(page.text(), HasSubstr(title));
  EXPECT_THAT(page.text(), Not(HasSubstr("Not shown")));
  EXPECT_THAT(page.text(), HasSubstr("3 of 3"));
  EXPECT_THAT(page.text(), HasSubstr("33.00 % (epoch 3)"));
  EXPECT_THAT(page.text(), HasSubstr("43.00 %"));  // purity
  EXPECT_THAT(page.text(), HasSubstr("layer1.0"));
  EXPECT_EQ(page.count("svg", "chart"), 9);      // seven over the epochs, two of the blocks
  EXPECT_EQ(page.count("article", "card"), 12);  // six anchors, twice
  EXPECT_EQ(page.count("path", "k"), 2);         // of even images, two classes of four
}

TEST_F(ReportTest, PositivesStandByTheStepThatDiscoversThem) {
  const ReportOptions options{.anchors = 5, .nearest = 7};
  const HtmlPage page(report_html(std::vector{whole_run("first")}, options));
  EXPECT_THAT(page.text(), HasSubstr("step 1: 2"));
  EXPECT_THAT(page.text(), HasSubstr("step 2: 2"));
  EXPECT_THAT(page.text(), HasSubstr("step 3: 2"));
  EXPECT_THAT(page.text(), Not(HasSubstr("step 4")));
  EXPECT_THAT(page.text(), HasSubstr("6 positives"));
  EXPECT_EQ(page.count("li", "hard"), 5 * 4);
  EXPECT_EQ(page.count("ol", "large"), 5);
  EXPECT_EQ(page.count("img"), 5 * (1 + 6) + 5 * (1 + 7));
}

TEST_F(ReportTest, ManyPositivesAreCutShortAndCounted) {
  const HtmlPage page(
      report_html(std::vector{whole_run("first")}, {.anchors = 1, .most_members = 3}));
  EXPECT_THAT(page.text(), HasSubstr("step 2: 2, of which 1 are shown"));
  EXPECT_THAT(page.text(), HasSubstr("step 3: 2, of which 0 are shown"));
}

TEST_F(ReportTest, SeveralRunsStandSideBySideAndDifferencesAreMarked) {
  std::vector runs{whole_run("first"), whole_run("second")};
  runs[1].settings[2].second = "0.1";
  runs[1].settings.emplace_back("seed", "7");
  const std::string text = report_html(runs);
  const HtmlPage page(text);
  expect_self_contained(text, page);
  EXPECT_THAT(page.text(), HasSubstr("first and second"));
  EXPECT_THAT(page.text(), HasSubstr("2 settings differ:"));
  EXPECT_EQ(page.count("tr", "differs"), 2);
  EXPECT_EQ(page.count("article", "card"), 12);  // of the same data: one card an anchor
  EXPECT_EQ(page.count("figure", "tsne"), 2);
  EXPECT_GT(page.count("path", "c1"), 0);  // the second run's lines have its color
}

TEST_F(ReportTest, WhatIsMissingIsSaidInALineEach) {
  folder.write("bare/config.toml", "");
  const ReportRun bare{.name = "bare",
                       .folder = folder / "bare",
                       .settings = {{"lr", "1"}},
                       .objective = {},
                       .open = {}};
  const HtmlPage page(report_html(std::vector{bare}));
  EXPECT_EQ(page.count("li"), 4);
  EXPECT_THAT(page.text(), HasSubstr("bare: no curves, there is no metrics.jsonl"));
  EXPECT_THAT(page.text(), HasSubstr("bare: no layer-wise figure, there is no layers.csv"));
  EXPECT_THAT(page.text(), HasSubstr("bare: no t-SNE, there is no points.safetensors"));
  EXPECT_THAT(page.text(), HasSubstr("bare: no neighbors or positives, there is no checkpoint"));
  EXPECT_EQ(page.count("section"), 1);  // the settings
}

TEST_F(ReportTest, DataThatWasMovedLeavesOutThePictures) {
  ReportRun run = whole_run("moved");
  run.open = [](std::string_view) -> std::shared_ptr<const Dataset> {
    fail("/old/<place>: no such file or folder; check the path");
  };
  const HtmlPage page(report_html(std::vector{run}));
  EXPECT_THAT(page.text(), HasSubstr("moved: no pictures: /old/&lt;place&gt;: no such file"));
  EXPECT_EQ(page.count("img"), 0);
  EXPECT_EQ(page.count("figure", "tsne"), 1);  // the points themselves stay
  EXPECT_THAT(page.text(), HasSubstr("class 0"));
}

TEST_F(ReportTest, AnotherDataSetIsNotShownAsTheRuns) {
  ReportRun run = whole_run("other");
  run.open = [](std::string_view) -> std::shared_ptr<const Dataset> {
    return open_synthetic({.classes = 4, .size = 16}, SyntheticSplit::kTrain, kImages - 3);
  };
  const HtmlPage page(report_html(std::vector{run}));
  EXPECT_THAT(page.text(), HasSubstr("its bank has 40 rows and the data set 37 images"));
  EXPECT_THAT(page.text(), HasSubstr("its points are of another data set"));
  EXPECT_EQ(page.count("img"), 0);
}

TEST_F(ReportTest, AsManyOtherImagesAreNotShownAsTheRuns) {
  ReportRun run = whole_run("other-images");
  run.open = [](std::string_view) -> std::shared_ptr<const Dataset> {
    return open_synthetic({.classes = 4, .size = 16, .seed = 1}, SyntheticSplit::kTrain, kImages);
  };
  const HtmlPage page(report_html(std::vector{run}));
  EXPECT_THAT(page.text(), HasSubstr("the data set has other images than those it was trained on"));
  EXPECT_THAT(page.text(), Not(HasSubstr("Nearest neighbors")));
}

TEST_F(ReportTest, BrokenFilesAreNamedAndTheRestIsShown) {
  const ReportRun run = whole_run("broken");
  std::ofstream(folder / "broken/metrics.jsonl", std::ios::app)
      << "nonsense\n{\"epoch\": \"four\"}\n{\"epoch\": 4, \"loss\": 1}\n{\"epoch\": 5, \"lo";
  folder.write("broken/deep/layers.csv", "tap,block,dims,top-1\n1,stem,64,good\n");
  folder.write("broken/deep/points.safetensors", "short");
  folder.write("broken/checkpoints/last.safetensors", "also short");
  const HtmlPage page(report_html(std::vector{run}));
  EXPECT_THAT(page.text(), HasSubstr("broken: 2 lines of metrics.jsonl cannot be read and are left "
                                     "out, the first is line 4"));
  EXPECT_THAT(page.text(), HasSubstr("4 of 3"));  // the line behind them counts
  EXPECT_THAT(page.text(), HasSubstr("deep/layers.csv:2: not a line of a layer table"));
  EXPECT_THAT(page.text(), HasSubstr("deep/points.safetensors"));
  EXPECT_THAT(page.text(), HasSubstr("checkpoints/last.safetensors"));
  EXPECT_EQ(page.count("figure", "tsne"), 1);
  EXPECT_EQ(page.count("article"), 0);
}

TEST_F(ReportTest, ARunThatDoesNotLearnFromItsPositivesSaysSo) {
  std::vector runs{whole_run("early"), whole_run("never")};
  runs[0].objective.warm_epochs = 30;
  runs[1].objective.no_invariance = true;
  const HtmlPage page(report_html(runs));
  EXPECT_THAT(page.text(), HasSubstr("early: its positives teach from epoch 31 on, it stands at "
                                     "epoch 3"));
  EXPECT_THAT(page.text(), HasSubstr("never: it did not learn from its positives"));
}

// Whatever a file holds, it stays text.
TEST_F(ReportTest, NothingFromAFileBecomesMarkup) {
  const std::string evil = "</script><img src=x onerror=\"alert('1')\">&{{style}}\x01\xFF";
  data = std::make_shared<PixelDataset>(
      "pixels", 8, 8, std::vector<std::uint8_t>(kImages * 8 * 8 * 3, 90),
      std::vector<PixelDataset::Source>{{evil, kImages}},
      [] {
        std::vector<std::int32_t> labels;
        for (std::int32_t i = 0; i < kImages; ++i) labels.push_back(i % 2);
        return labels;
      }(),
      std::vector<std::string>{evil, "dog"});
  ReportRun run = whole_run("evil");
  run.name = evil;
  run.settings.emplace_back(evil, evil);
  folder.write("evil/linear/layers.csv",
               "tap,block,dims,<b>\n1,</table><script>alert(1)</script>,64,10\n");
  std::ofstream(folder / "evil/metrics.jsonl", std::ios::app)
      << R"({"epoch": 4, "loss": 1, "</svg><script>": 5})" << '\n';
  const std::string text = report_html(std::vector{run, run});
  const HtmlPage page(text);
  expect_self_contained(text, page);
  EXPECT_EQ(page.count("b"), 0);
  EXPECT_EQ(page.raw().size(), 4u);  // the style, two plots, the script
  EXPECT_THAT(page.text(), HasSubstr("&lt;/script&gt;&lt;img src=x onerror="));
  EXPECT_THAT(page.text(), HasSubstr("{{style}}\xEF\xBF\xBD\xEF\xBF\xBD"));
  // The class names reach the script as they are.
  const auto plot = nlohmann::json::parse(page.raw()[1]);
  EXPECT_THAT(plot.at("classes")[0].get<std::string>(), ::testing::StartsWith("</script><img"));
}

TEST_F(ReportTest, PlotsCarryPlacesClassesAndPictures) {
  const HtmlPage page(report_html(std::vector{whole_run("first")}));
  const auto plot = nlohmann::json::parse(page.raw()[1]);
  ASSERT_EQ(plot.at("x").size(), 20u);
  // The axes share a scale: y ranges to 38 squared, x to 38. The first point is lowest.
  EXPECT_EQ(plot.at("y")[0], 1960);
  EXPECT_EQ(plot.at("y")[19], 40);
  EXPECT_NEAR(plot.at("x")[19].get<int>() - plot.at("x")[0].get<int>(), 1920 / 38.0, 1);
  for (std::size_t i = 0; i < 20; ++i) {
    EXPECT_EQ(plot.at("index")[i], 2 * i);
    const std::size_t kind = plot.at("kind")[i];
    EXPECT_EQ(plot.at("classes")[kind], data->classes()[data->label(2 * i)]);
  }
  ASSERT_EQ(plot.at("sheets").size(), 1u);
  EXPECT_THAT(plot.at("sheets")[0].get<std::string>(), HasSubstr("data:image/jpeg;base64,/9j/"));
}

TEST_F(ReportTest, AFolderWithoutARunIsRefused) {
  const ReportRun nothing{
      .name = "x", .folder = folder.path(), .settings = {}, .objective = {}, .open = {}};
  EXPECT_THAT(testing::error_of([&] { report_html(std::vector{nothing}); }),
              HasSubstr("holds nothing of a run"));
  const ReportRun nowhere{
      .name = "x", .folder = folder / "nowhere", .settings = {}, .objective = {}, .open = {}};
  EXPECT_THAT(testing::error_of([&] { report_html(std::vector{nowhere}); }),
              HasSubstr("no such run folder"));
  EXPECT_THROW(report_html({}), Error);
}

}  // namespace
}  // namespace invp
