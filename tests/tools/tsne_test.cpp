// `invp tsne` and `invp knn` with several k, from pictures to the map.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "engine/files/safetensors.h"
#include "tests/support/values.h"
#include "tests/tools/program.h"

namespace invp {
namespace {

using ::testing::HasSubstr;
using testing::Outcome;
using testing::read_all;
using testing::run_invp;
using testing::Scratch;

/// 120 points around six places, as invp extract writes features.
void write_features(const std::string& file, std::int64_t first_label = 0,
                    std::int64_t first_index = 1000) {
  constexpr std::int64_t kRows = 120;
  const Tensor features = testing::tensor(testing::random_values(1, kRows * 5), {kRows, 5});
  std::vector<std::int64_t> labels;
  std::vector<std::int64_t> indices;
  for (std::int64_t i = 0; i < kRows; ++i) {
    labels.push_back(i % 6);
    indices.push_back(1000 + i);
    features.data<float>()[5 * i + i % 5] += static_cast<float>(12 * (1 + i % 6));
  }
  labels.front() = first_label;
  indices.front() = first_index;
  write_safetensors(file,
                    TensorFile{.tensors = {{"features", features},
                                           {"labels", Tensor::from(labels, {kRows})},
                                           {"indices", Tensor::from(indices, {kRows})}},
                               .metadata = {{"split", "val"}, {"classes", "a\nb\nc\nd\ne\nf"}}});
}

TEST(TsneCommand, FeaturesOfAnotherSetAreRefused) {
  const Scratch scratch;
  write_features(scratch / "features.safetensors");  // of images 1000 to 1119
  const Outcome outcome = run_invp("tsne --features " + (scratch / "features.safetensors") +
                                   " --format synthetic --synthetic-val 1100 --split val "
                                   "--thumbnails 5 --out " +
                                   (scratch / "map"));
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, ::testing::AllOf(HasSubstr("holds 1100"), HasSubstr("1100 of --data")));
  EXPECT_FALSE(std::filesystem::exists(scratch / "map")) << "nothing is written";
}

TEST(TsneCommand, MapsTheFeaturesOfAFile) {
  const Scratch scratch;
  write_features(scratch / "features.safetensors");
  const Outcome outcome =
      run_invp("tsne --features " + (scratch / "features.safetensors") + " --out " +
               (scratch / "map") + " --perplexity 8 --iterations 120 --per-class 15 --json");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto results = nlohmann::json::parse(outcome.last_line());
  EXPECT_GT(results["kl"], 0);
  EXPECT_EQ(results["images"], 90);
  const TensorFile file = read_safetensors(results["points"].get<std::string>());
  EXPECT_EQ(file.find("points")->shape(), Shape({90, 2}));
  EXPECT_EQ(file.find("points")->dtype(), DType::kF32);
  EXPECT_EQ(file.find("labels")->dtype(), DType::kI64);
  for (std::int64_t i = 0; i < 90; ++i) {
    const std::int64_t index = file.find("indices")->data<std::int64_t>()[i];
    EXPECT_EQ(file.find("labels")->data<std::int64_t>()[i], (index - 1000) % 6);
  }
  EXPECT_EQ(file.metadata.at("split"), "val");
  const std::string picture = read_all(results["picture"].get<std::string>());
  EXPECT_THAT(picture, HasSubstr("90 images"));
  EXPECT_THAT(picture, HasSubstr(">f</text>"));
}

TEST(TsneCommand, ShowsNetworksTheImagesSideBySide) {
  const Scratch scratch;
  const std::string data =
      " --format synthetic --synthetic-train 64 --synthetic-val 16 --synthetic-size 16 "
      "--synthetic-classes 4 --image-size 16 ";
  ASSERT_EQ(run_invp("pretrain" + data +
                     "--arch resnet18-cifar --width 4 --dim 16 --augment cifar --epochs 1 "
                     "--batch-size 16 --background 32 --hard-positives 4 --knn-k 10 --out " +
                     (scratch / "run"))
                .code,
            0);
  const std::string checkpoint =
      " --checkpoint " + (scratch / "run/checkpoints/last.safetensors") + " ";
  const Outcome outcome =
      run_invp("tsne" + data + checkpoint + checkpoint +
               "--name one --name two --perplexity 5 --iterations 50 --thumbnails 5 --out " +
               (scratch / "map") + " --json");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto results = nlohmann::json::parse(outcome.last_line());
  ASSERT_EQ(results["maps"].size(), 2u);
  EXPECT_EQ(results["maps"][0]["kl"], results["maps"][1]["kl"]);
  EXPECT_EQ(read_all(scratch / "map/points.safetensors").size(),
            read_all(scratch / "map/points-2.safetensors").size());
  const std::string picture = read_all(scratch / "map/tsne.svg");
  for (const char* part : {">one<", ">two<", "data:image/jpeg;base64,"})
    EXPECT_THAT(picture, HasSubstr(part));

  const Outcome knn = run_invp("knn" + data + checkpoint + "--k 1,20 --tau 0.07,0.5 --json");
  ASSERT_EQ(knn.code, 0) << knn.err;
  const auto votes = nlohmann::json::parse(knn.last_line());
  ASSERT_EQ(votes["each"].size(), 4u);
  EXPECT_EQ(votes["each"][0]["top1"], votes["top1"]);
  EXPECT_EQ(votes["each"][3]["k"], 20);
  EXPECT_EQ(votes["each"][3]["tau"], 0.5);
  // With one voter, the temperature says nothing.
  EXPECT_EQ(votes["each"][0]["top1"], votes["each"][1]["top1"]);
}

TEST(TsneCommand, SaysWhatIsMissing) {
  const Scratch scratch;
  const Outcome nothing = run_invp("tsne --out " + (scratch / "map"));
  EXPECT_EQ(nothing.code, 2);
  EXPECT_THAT(nothing.err, HasSubstr("--features FILE or --checkpoint FILE"));
  write_features(scratch / "features.safetensors");
  const std::string features =
      "tsne --features " + (scratch / "features.safetensors") + " --out " + (scratch / "map") + " ";
  const Outcome few = run_invp(features + "--perplexity 50");
  EXPECT_EQ(few.code, 1);
  EXPECT_THAT(few.err, HasSubstr("perplexity 50 needs at least 151 points, got 120"));
  EXPECT_EQ(run_invp(features + "--lr fast").code, 2);
  EXPECT_EQ(run_invp(features + "--thumbnails 3").code, 2);
}

TEST(TsneCommand, LabelsAndPlacesThatNoImageHasAreRefused) {
  const Scratch scratch;
  const std::string file = scratch / "features.safetensors";
  const std::string common =
      "tsne --features " + file + " --out " + (scratch / "map") + " --perplexity 8 --iterations 20";
  constexpr std::int64_t kFar = std::int64_t{1} << 60;
  for (const std::int64_t label : {kFar, -kFar, std::int64_t{-2}, std::int64_t{6}}) {
    write_features(file, label);
    const Outcome outcome = run_invp(common);
    EXPECT_EQ(outcome.code, 1) << label;
    EXPECT_THAT(outcome.err, HasSubstr("features: 'labels' holds " + std::to_string(label)));
  }
  const std::string data = " --format synthetic --synthetic-val 2000 --thumbnails 3";
  for (const std::int64_t index : {kFar, -kFar, std::int64_t{-1}, std::int64_t{2000}}) {
    write_features(file, 0, index);
    const Outcome outcome = run_invp(common + data);
    EXPECT_EQ(outcome.code, 1) << index;
    EXPECT_THAT(outcome.err, HasSubstr("features: 'indices' holds " + std::to_string(index)));
  }
  write_features(file, -1, 0);
  EXPECT_EQ(run_invp(common + data).code, 0);
}

TEST(TsneCommand, ASignalEndsTheDescentAndThePointsAreWritten) {
  const Scratch scratch;
  write_features(scratch / "features.safetensors");
  // timeout signals the program twice.
  const std::string command = "timeout --preserve-status -s INT 6 " + testing::program() +
                              " tsne --features " + (scratch / "features.safetensors") + " --out " +
                              (scratch / "map") + " --perplexity 8 --iterations 1000000000 " +
                              "--format synthetic --synthetic-val 2000 --thumbnails 5 >" +
                              (scratch / "said") + " 2>&1";
  const int status = std::system(command.c_str());
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 130) << read_all(scratch / "said");
  const TensorFile file = read_safetensors(scratch / "map/points.safetensors");
  EXPECT_EQ(file.find("points")->shape(), Shape({120, 2}));
  EXPECT_LT(std::stoll(file.metadata.at("iterations")), 1'000'000'000);
  const std::string picture = read_all(scratch / "map/tsne.svg");
  EXPECT_THAT(picture, HasSubstr("120 images"));
  EXPECT_THAT(picture, ::testing::Not(HasSubstr("data:image"))) << "thumbnails wait for a disk";
}

}  // namespace
}  // namespace invp
