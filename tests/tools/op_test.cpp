// invp op: files in PyTorch's layouts in, results and gradients out, held against naive sums
// written here in NCHW.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <set>
#include <sstream>

#include "engine/files/safetensors.h"
#include "engine/files/weights.h"
#include "tests/tools/program.h"

namespace invp {
namespace {

using testing::golden_word;
using ::testing::HasSubstr;
using testing::Outcome;
using testing::run_invp;
using testing::Scratch;

Tensor random(const Shape& shape, unsigned seed) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  const Tensor tensor = Tensor::empty(shape);
  for (float& value : tensor.span<float>()) value = uniform(generator);
  return tensor;
}

double worst_difference(const Tensor& got, const std::vector<double>& want) {
  double worst = std::abs(static_cast<double>(got.numel()) - static_cast<double>(want.size()));
  for (std::size_t i = 0; i < want.size() && i < got.span<float>().size(); ++i) {
    worst = std::max(worst, std::abs(static_cast<double>(got.span<float>()[i]) - want[i]));
  }
  return worst;
}

// y = sum of x w + b and, from dy, the gradients of all three; NCHW and OIHW, grouped.
struct NaiveConv {
  std::int64_t N = 2, C = 4, H = 6, W = 5, K = 6, R = 3, groups = 2, stride = 2, padding = 1;
  std::int64_t P = (H + 2 * padding - R) / stride + 1, Q = (W + 2 * padding - R) / stride + 1;

  template <class Body>
  void each(const Body& body) const {
    const std::int64_t inner = C / groups;
    for (std::int64_t n = 0; n < N; ++n)
      for (std::int64_t k = 0; k < K; ++k)
        for (std::int64_t p = 0; p < P; ++p)
          for (std::int64_t q = 0; q < Q; ++q)
            for (std::int64_t c = 0; c < inner; ++c)
              for (std::int64_t r = 0; r < R; ++r)
                for (std::int64_t s = 0; s < R; ++s) {
                  const std::int64_t h = p * stride - padding + r;
                  const std::int64_t w = q * stride - padding + s;
                  if (h < 0 || h >= H || w < 0 || w >= W) continue;
                  const std::int64_t channel = k / (K / groups) * inner + c;
                  body(((n * K + k) * P + p) * Q + q, ((n * C + channel) * H + h) * W + w,
                       ((k * inner + c) * R + r) * R + s);
                }
  }
};

TEST(OpCommand, ConvolutionAndItsGradientsCrossTheLayoutBorder) {
  const NaiveConv conv;
  const Tensor x = random({conv.N, conv.C, conv.H, conv.W}, 1);
  const Tensor w = random({conv.K, conv.C / conv.groups, conv.R, conv.R}, 2);
  const Tensor b = random({conv.K}, 3);
  const Tensor dy = random({conv.N, conv.K, conv.P, conv.Q}, 4);
  const Scratch scratch;
  write_safetensors(
      scratch / "in",
      TensorFile{.tensors = {{"input", x}, {"weight", w}, {"bias", b}, {"grad_output", dy}}});
  const Outcome outcome =
      run_invp("op conv2d --in " + (scratch / "in") + " --to " + (scratch / "out") +
               " --attr stride=2 --attr padding=1 --attr groups=2 --json");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.last_line(), HasSubstr("\"output\":[2,6,3,3]"));

  std::vector<double> y(static_cast<std::size_t>(dy.numel())),
      dx(static_cast<std::size_t>(x.numel()));
  std::vector<double> dw(static_cast<std::size_t>(w.numel())), db(static_cast<std::size_t>(conv.K));
  for (std::size_t i = 0; i < y.size(); ++i) {
    const std::size_t k =
        i / static_cast<std::size_t>(conv.P * conv.Q) % static_cast<std::size_t>(conv.K);
    y[i] = static_cast<double>(b.span<float>()[k]);
    db[k] += static_cast<double>(dy.span<float>()[i]);
  }
  conv.each([&](std::int64_t out, std::int64_t in, std::int64_t weight) {
    const double g = static_cast<double>(dy.data<float>()[out]);
    const double xv = static_cast<double>(x.data<float>()[in]);
    const double wv = static_cast<double>(w.data<float>()[weight]);
    y[static_cast<std::size_t>(out)] += xv * wv;
    dx[static_cast<std::size_t>(in)] += g * wv;
    dw[static_cast<std::size_t>(weight)] += g * xv;
  });
  const TensorFile results = read_safetensors(scratch / "out");
  EXPECT_EQ(results.find("output")->shape(), dy.shape());
  EXPECT_LT(worst_difference(*results.find("output"), y), 1e-5);
  EXPECT_LT(worst_difference(*results.find("grad_input"), dx), 1e-5);
  EXPECT_LT(worst_difference(*results.find("grad_weight"), dw), 1e-5);
  EXPECT_LT(worst_difference(*results.find("grad_bias"), db), 1e-5);
}

TEST(OpCommand, BatchNormGivesBackTheRunningStatistics) {
  const Tensor x = random({3, 2, 2, 2}, 5);
  const Scratch scratch;
  write_safetensors(scratch / "in", TensorFile{.tensors = {{"input", x},
                                                           {"running_mean", Tensor::zeros({2})},
                                                           {"running_var", Tensor::full({2}, 1)}}});
  ASSERT_EQ(run_invp("op batch_norm --in " + (scratch / "in") + " --to " + (scratch / "out") +
                     " --attr training=true")
                .code,
            0);
  const TensorFile results = read_safetensors(scratch / "out");
  EXPECT_EQ(results.find("grad_input"), nullptr);  // no grad_output, no gradients
  for (std::int64_t c = 0; c < 2; ++c) {
    double mean = 0, square = 0;
    for (std::int64_t n = 0; n < 3; ++n)
      for (std::int64_t i = 0; i < 4; ++i)
        mean += static_cast<double>(x.data<float>()[(n * 2 + c) * 4 + i]) / 12;
    for (std::int64_t n = 0; n < 3; ++n)
      for (std::int64_t i = 0; i < 4; ++i)
        square +=
            std::pow(static_cast<double>(x.data<float>()[(n * 2 + c) * 4 + i]) - mean, 2) / 11;
    EXPECT_NEAR(results.find("running_mean")->data<float>()[c], 0.1 * mean, 1e-6);
    EXPECT_NEAR(results.find("running_var")->data<float>()[c], 0.9 + 0.1 * square, 1e-6);
    for (std::int64_t i = 0; i < 4; ++i) {
      const double want = (static_cast<double>(x.data<float>()[c * 4 + i]) - mean) /
                          std::sqrt(square * 11 / 12 + 1e-5);
      EXPECT_NEAR(results.find("output")->data<float>()[c * 4 + i], want, 1e-5);
    }
  }
}

// Each channel of the map has one value, which every bin keeps.
TEST(OpCommand, RoiAlignKeepsPytorchsOrderAndTakesAStep) {
  Tensor x = Tensor::empty({1, 3, 4, 5});
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    const std::int64_t channel = i / 20;
    x.data<float>()[i] = static_cast<float>(channel);
  }
  const Scratch scratch;
  write_safetensors(
      scratch / "in",
      TensorFile{
          .tensors = {
              {"input", x},
              {"boxes", Tensor::from(std::vector<float>{0, 2, 2, 7, 6, 0, 1, 1, 9, 7}, {2, 5})},
              {"grad_output", Tensor::full({2, 3, 3, 2}, 1)}}});
  const Outcome outcome = run_invp("op roi_align --in " + (scratch / "in") + " --to " +
                                   (scratch / "out") + " --attr output_size=5,4 --attr step=2 " +
                                   "--attr spatial_scale=0.5 --attr aligned=true --json");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const TensorFile results = read_safetensors(scratch / "out");
  EXPECT_EQ(results.find("output")->shape(), Shape({2, 3, 3, 2}));
  for (std::int64_t i = 0; i < 36; ++i)
    EXPECT_NEAR(results.find("output")->data<float>()[i], static_cast<double>(i / 6 % 3), 1e-6);
  double back = 0;
  for (const float value : results.find("grad_input")->span<float>()) back += value;
  EXPECT_NEAR(back, 36, 1e-4);
  EXPECT_EQ(results.find("grad_boxes"), nullptr);
}

TEST(OpCommand, SgdStepTakesMomentumAndDecay) {
  const Scratch scratch;
  write_safetensors(scratch / "in",
                    TensorFile{.tensors = {{"weight", Tensor::full({3}, 2)},
                                           {"grad", Tensor::full({3}, 0.5)},
                                           {"momentum_buffer", Tensor::full({3}, 1)}}});
  ASSERT_EQ(run_invp("op sgd_step --in " + (scratch / "in") + " --to " + (scratch / "out") +
                     " --attr lr=0.1 --attr momentum=0.9 --attr weight_decay=0.01")
                .code,
            0);
  const TensorFile results = read_safetensors(scratch / "out");
  EXPECT_FLOAT_EQ(results.find("momentum_buffer")->data<float>()[2], 0.9F + 0.5F + 0.02F);
  EXPECT_FLOAT_EQ(results.find("weight")->data<float>()[2], 2 - 0.1F * 1.42F);
}

TEST(OpCommand, SaysWhatIsMissingOrWrong) {
  const Scratch scratch;
  write_safetensors(scratch / "in",
                    TensorFile{.tensors = {{"input", Tensor::zeros({1, 2, 4, 4})},
                                           {"wieght", Tensor::zeros({3, 2, 3, 3})}}});
  const std::string files = " --in " + (scratch / "in") + " --to " + (scratch / "out");
  const Outcome missing = run_invp("op conv2d" + files);
  EXPECT_EQ(missing.code, 1);
  EXPECT_THAT(missing.err, HasSubstr("conv2d does not use tensor 'wieght'"));
  EXPECT_THAT(missing.err,
              HasSubstr("conv2d needs a tensor 'weight'; the file has input or wieght"));
  const Outcome attribute = run_invp("op relu" + files + " --attr x=1");
  EXPECT_EQ(attribute.code, 2);
  EXPECT_THAT(attribute.err, HasSubstr("--attr x: relu has no attributes"));
  const Outcome spelling = run_invp("op max_pool2d" + files + " --attr kernel=3");
  EXPECT_EQ(spelling.code, 2);
  EXPECT_THAT(spelling.err,
              HasSubstr("max_pool2d has no attribute 'kernel'; did you mean kernel_size?"));
  const Outcome needed = run_invp("op max_pool2d" + files);
  EXPECT_EQ(needed.code, 2);
  EXPECT_THAT(needed.err, HasSubstr("--attr kernel_size=... is missing: max_pool2d needs it"));
}

TEST(OpCommand, RunsEveryOperationItLists) {
  const std::string list = run_invp("op --list").out;
  EXPECT_THAT(list, HasSubstr("attrs   stride=1 padding=0 dilation=1 groups=1"));
  std::set<std::string> names;
  std::istringstream lines(list);
  for (std::string line; std::getline(lines, line) && !line.empty();) {
    if (line.starts_with(' ')) continue;
    EXPECT_TRUE(names.insert(line).second) << line << " is listed twice";
    // It is known: what is missing are the files.
    EXPECT_THAT(run_invp("op " + line).err, HasSubstr("--in FILE is missing")) << line;
  }
  EXPECT_GE(names.size(), 20U);
}

TEST(ConvertCommand, PthComesBackAsItWas) {
  const Scratch scratch;
  const TensorFile weights{.tensors = {{"conv.weight", random({3, 2, 2, 2}, 6)},
                                       {"count", Tensor::from(std::vector<std::int64_t>{7}, {})},
                                       {"none", Tensor::empty({0, 3})}}};
  write_safetensors(scratch / "a.safetensors", weights);
  const Outcome outcome = run_invp("convert " + (scratch / "a.safetensors") + " --to " +
                                   (scratch / "b.pth") + " --json");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.last_line(), "{\"tensors\":3,\"bytes\":104}");
  ASSERT_EQ(
      run_invp("convert " + (scratch / "b.pth") + " --to " + (scratch / "c.safetensors")).code, 0);
  const TensorFile back = read_safetensors(scratch / "c.safetensors");
  ASSERT_EQ(back.tensors.size(), 3u);
  for (const auto& [name, tensor] : weights.tensors) {
    ASSERT_NE(back.find(name), nullptr) << name;
    EXPECT_EQ(back.find(name)->shape(), tensor.shape());
    EXPECT_EQ(back.find(name)->dtype(), tensor.dtype());
    EXPECT_EQ(std::memcmp(back.find(name)->raw(), tensor.raw(), tensor.nbytes()), 0);
  }
  EXPECT_THAT(run_invp("convert " + (scratch / "b.pth") + " --list").out,
              HasSubstr("conv.weight  f32    (3, 2, 2, 2)"));
  EXPECT_EQ(run_invp("convert " + (scratch / "b.pth") + " --to x.bin").code, 2);
}

TEST(ConvertCommand, KeepsEveryTypeOrRefuses) {
  const Scratch scratch;
  std::vector<StoredTensor> tensors;
  for (const char* name : {"F64", "F16", "BF16", "F8_E4M3", "F8_E5M2", "C64", "I64", "I16", "I8",
                           "U64", "U32", "U16", "U8", "BOOL"}) {
    const StoredType type = *stored_type_from_safetensors(name);
    tensors.push_back({name, type, {3}, 3 * size_of(type)});
  }
  const FillElements fill = [](std::size_t i, std::span<std::byte> to) {
    for (std::size_t k = 0; k < to.size(); ++k) to[k] = static_cast<std::byte>(37 * i + 11 * k + 1);
  };
  const std::string first = scratch / "a.safetensors";
  write_safetensors(first, tensors, {}, fill);
  const Outcome outcome = run_invp("convert " + first + " --to " + (scratch / "b.pth") + " --list");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  for (const char* line : {"F64      f64", "BOOL     bool", "F8_E4M3  f8_e4m3", "I8       i8"})
    EXPECT_THAT(outcome.out, HasSubstr(line));
  ASSERT_EQ(
      run_invp("convert " + (scratch / "b.pth") + " --to " + (scratch / "c.safetensors")).code, 0);
  const auto back = open_safetensors(scratch / "c.safetensors");
  ASSERT_EQ(back->tensors().size(), tensors.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    EXPECT_EQ(back->tensors()[i].name, tensors[i].name);
    EXPECT_EQ(back->tensors()[i].type, tensors[i].type) << tensors[i].name;
    std::vector<std::byte> want(tensors[i].bytes);
    fill(i, want);
    EXPECT_EQ(back->bytes(i), want) << tensors[i].name;
  }
  tensors = {{"odd", StoredType::kF4, {2}, 1}};
  write_safetensors(first, tensors, {}, fill);
  const Outcome refused = run_invp("convert " + first + " --to " + (scratch / "d.pth"));
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.err, HasSubstr("\"odd\" is of type f4, which PyTorch has no name for"));
}

TEST(ConvertCommand, NamesFromTheFileReachTheTerminalEscaped) {
  const Scratch scratch;
  const std::string file = scratch / "a.safetensors";
  write_safetensors(
      file,
      std::vector<std::pair<std::string, Tensor>>{{"\x1b]0;x\x07 \xc3\xa9", Tensor::zeros({1})}},
      {{"key\x1b[2J", "value\r\xc2\x9b"}});
  const Outcome outcome = run_invp("convert " + file + " --list");
  ASSERT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.out, HasSubstr("\\x1b]0;x\\x07 \xc3\xa9"));
  EXPECT_THAT(outcome.out, HasSubstr("key\\x1b[2J: value\\x0d\\u009b"));
  const Outcome failed = run_invp("extract --format synthetic --to x --checkpoint " + file);
  EXPECT_EQ(failed.code, 1);
  for (const std::string& text : {outcome.out, failed.err}) {
    EXPECT_EQ(text.find('\x1b'), std::string::npos) << text;
    EXPECT_THAT(text, HasSubstr("\\x1b]0;x"));
  }
}

TEST(ConvertCommand, WritesTheNetworkAlone) {
  const Scratch scratch;
  const std::string file = golden_word("weights/moco_v2.pth.tar");
  const std::string to = scratch / "a.safetensors";
  const Outcome list = run_invp("convert " + file + " --list");
  EXPECT_THAT(list.out,
              HasSubstr("network: resnet18 of width 1 with an mlp head of 16, under "
                        "\"state_dict.module.encoder_q.\", not \"state_dict.module.encoder_k.\""));
  EXPECT_THAT(list.out, HasSubstr("module.queue"));
  ASSERT_EQ(run_invp("convert " + file + " --strip-prefixes --to " + to).code, 0);
  const auto query = open_safetensors(to);
  EXPECT_EQ(query->tensors().size(), 124u);
  ASSERT_EQ(run_invp("convert " + file + " --weights-prefix encoder_k. --to " + to).code, 0);
  const auto key = open_safetensors(to);
  EXPECT_EQ(key->tensors()[0].name, query->tensors()[0].name);
  EXPECT_NE(key->bytes(0), query->bytes(0));
}

TEST(ConvertCommand, WritesDetectorsAndBackbonesForDetectron2) {
  const Scratch scratch;
  const std::string detector = golden_word("detectron2/expected.safetensors");
  for (const char* name : {"a.pkl", "a.pth", "a.safetensors"}) {
    const std::string to = scratch / name;
    const Outcome outcome = run_invp("convert " + detector + " --form detectron2 --to " + to);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_THAT(outcome.out, HasSubstr("Faster R-CNN R50-C4 of width 1 for 3 classes"));
    const Outcome list = run_invp("convert " + to + " --list");
    EXPECT_THAT(list.out, HasSubstr("roi_heads.box_predictor.cls_score.weight"));
    EXPECT_THAT(list.out, HasSubstr("detector: Faster R-CNN R50-C4 of width 1 for 3 classes"));
    EXPECT_THAT(list.out, HasSubstr(": cat, dog, b\xc3\xa4r"));
    EXPECT_THAT(list.out, HasSubstr("network: resnet50 of width 1 without a head"));
    EXPECT_THAT(list.out, HasSubstr("333 tensors"));
  }
  // Under our names again, the detector alone.
  ASSERT_EQ(run_invp("convert " + golden_word("detectron2/detector.pth") +
                     " --strip-prefixes --to " + (scratch / "ours.safetensors"))
                .code,
            0);
  EXPECT_EQ(open_safetensors(scratch / "ours.safetensors")->tensors().size(), 333u);
  const std::string backbone = golden_word("detectron2/backbone_moco.pkl");
  const Outcome written =
      run_invp("convert " + backbone + " --form detectron2 --to " + (scratch / "b.pkl"));
  EXPECT_THAT(written.out, HasSubstr("318 tensors"));
  // Without --form the names of the file stay.
  ASSERT_EQ(run_invp("convert " + backbone + " --to " + (scratch / "c.safetensors")).code, 0);
  EXPECT_EQ(open_safetensors(scratch / "c.safetensors")->tensors()[0].name, "stem.conv1.weight");
  ASSERT_EQ(run_invp("convert " + backbone + " --strip-prefixes --to " + (scratch / "d.pth")).code,
            0);
  EXPECT_EQ(open_weights(scratch / "d.pth")->tensors()[0].name, "conv1.weight");
  const Outcome pickle = run_invp("convert " + backbone + " --to " + (scratch / "e.pkl"));
  EXPECT_EQ(pickle.code, 2);
  EXPECT_THAT(pickle.err, HasSubstr(".pkl is detectron2's form; add --form detectron2"));
}

}  // namespace
}  // namespace invp
