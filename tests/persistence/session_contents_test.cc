// A session's fields taken apart: all that belongs, and nothing else.
#include "server/persistence/session_contents.h"

#include <gtest/gtest.h>

#include "server/persistence/field_collector.h"
#include "server/persistence/field_names.h"
#include "server/persistence/use_filter.h"
#include "tests/persistence/examples.h"

namespace dropoutd {
namespace {

constexpr std::uint64_t kPlain = 1;
constexpr std::uint64_t kLinear = 2;
constexpr StepKey kStep = {7, 0, 0};
constexpr ParametersId kOldId = {2, 2};

// A session with a plain and a linear layer, each with a step; the linear layer's parameters have
// changed since.
class SessionContentsTest : public testing::Test {
 protected:
  SessionContentsTest() {
    contents_.image.ttl = std::chrono::hours(1);
    LayerConfig config;
    config.layer_id = "plain";
    config.p = 0.5;
    AddLayer(MakeLayerImage(config, kPlain));
    config.layer_id = "linear";
    config.options = DropConnectOptions{4, 3, false};
    AddLayer(MakeLayerImage(config, kLinear));
    RetainedInput input;
    input.data_size = 32;
    input.data = std::make_unique<std::byte[]>(32);
    input.parameters_id = kOldId;
    const LayerImage& linear = Layer("linear");
    Add(ParametersField(kLinear, kOldId), EncodeParameters(WeightsOf(4, 3)));
    Add(ParametersField(kLinear, linear.parameters_id), EncodeParameters(WeightsOf(4, 3)));
    Add(StreamField(), EncodeStream(SequentialNoise(0)));
    const Shape shape = MakeShape({2, 4});
    Add(StepField(kPlain, kStep), EncodeRecord(MakeRecord(Layer("plain"), shape), nullptr));
    Add(StepField(kLinear, kStep), EncodeRecord(MakeRecord(linear, shape), &input));
  }

  const LayerImage& Layer(const char* id) const { return *contents_.image.layers.at(id); }

  void AddLayer(const LayerImage& layer) {
    contents_.image.layers[layer.config->layer_id] = std::make_shared<const LayerImage>(layer);
  }

  void Add(std::string name, std::string value) {
    const Token token = {1, contents_.fields.size() + 1};
    contents_.fields.push_back({std::move(name), std::move(value), token});
  }

  void Erase(const std::string& name) {
    std::erase_if(contents_.fields, [&](const StoreField& each) { return each.name == name; });
  }

  // Names of what is of use.
  std::vector<std::string> OfUse() const {
    UseFilter filter(contents_.image);
    std::vector<std::string> names;
    for (const StoreField& each : contents_.fields) {
      const auto is_of_use = filter.IsOfUse(each);
      EXPECT_TRUE(is_of_use.ok()) << is_of_use.status();
      if (is_of_use.ok() && *is_of_use) names.push_back(each.name);
    }
    return names;
  }

  std::string Reason() const { return ReasonText(TakeApart(contents_)); }

  SessionContents contents_;
};

TEST_F(SessionContentsTest, AllIsThere) {
  ASSERT_TRUE(FillParameters(contents_).ok());
  const auto parts = TakeApart(contents_);
  ASSERT_TRUE(parts.ok()) << parts.status();
  ASSERT_EQ(parts->steps.size(), 2u);
  EXPECT_EQ(parts->steps[0].uid, kPlain);
  EXPECT_EQ(parts->steps[0].key, kStep);
  EXPECT_EQ(parts->steps[0].record.config, Layer("plain").config);
  EXPECT_EQ(parts->steps[0].record.token, (Token{1, 4}));
  EXPECT_EQ(parts->steps[0].input, nullptr);
  EXPECT_TRUE(parts->stream.has_value());
  ASSERT_EQ(parts->parameters.size(), 2u);
  const auto& present = parts->parameters.at({kLinear, Layer("linear").parameters_id});
  EXPECT_EQ(present, Layer("linear").parameters);
  ASSERT_NE(parts->steps[1].input, nullptr);
  EXPECT_EQ(parts->steps[1].input->parameters, parts->parameters.at({kLinear, kOldId}));
  EXPECT_EQ(parts->steps[1].input->parameters_id, kOldId);
}

TEST_F(SessionContentsTest, WhatDoesNotBelongIsRefused) {
  const SessionContents good = contents_;
  const auto reason_with = [&](std::string name, std::string value) {
    contents_ = good;
    Erase(name);
    Add(std::move(name), std::move(value));
    return Reason();
  };
  const std::string step = *good.fields[3].value;
  EXPECT_EQ(reason_with(StepField(kPlain, {8, 0, 0}), step), "OK");
  EXPECT_EQ(reason_with(StepField(3, kStep), step), "INVALID_SESSION");
  EXPECT_EQ(reason_with(StepField(kPlain, {8, 0, 1}), step), "INVALID_SESSION");
  EXPECT_EQ(reason_with(StepField(kPlain, kStep), "\2"), "INVALID_SESSION");
  EXPECT_EQ(reason_with(StepField(kPlain, kStep), "\3"), "STORE_FORMAT_NEWER");
  EXPECT_EQ(reason_with(StepField(kLinear, kStep), *good.fields[4].value + "more"),
            "INVALID_SESSION");
  EXPECT_EQ(reason_with(StreamField(), "\2"), "INVALID_SESSION");
  EXPECT_EQ(reason_with("i", "anything"), "INVALID_SESSION");
  EXPECT_EQ(reason_with(ParametersField(kLinear, kOldId), EncodeParameters(WeightsOf(5, 3))),
            "INVALID_SESSION");
  contents_ = good;
  contents_.fields.push_back(good.fields[3]);
  EXPECT_EQ(Reason(), "INVALID_SESSION");
  contents_ = good;
  Erase(ParametersField(kLinear, kOldId));
  EXPECT_EQ(Reason(), "INVALID_SESSION");
  contents_ = good;
  contents_.fields[0].value.reset();
  EXPECT_EQ(Reason(), "INVALID_SESSION");
}

TEST_F(SessionContentsTest, ReleasedStepsAreGone) {
  LayerImage layer = Layer("plain");
  layer.releasing = 7;
  AddLayer(layer);
  const auto parts = TakeApart(contents_);
  ASSERT_TRUE(parts.ok());
  ASSERT_EQ(parts->steps.size(), 1u);
  EXPECT_EQ(parts->steps[0].uid, kLinear);
  EXPECT_EQ(OfUse().size(), 4u);
}

TEST_F(SessionContentsTest, WhatIsOfNoUseIsTold) {
  EXPECT_EQ(OfUse().size(), contents_.fields.size());
  // Of no kind, of no layer, and a tombstone.
  contents_.fields.push_back({"i", "1", {}});
  contents_.fields.push_back({StepField(3, kStep), contents_.fields[3].value, {}});
  contents_.fields.push_back({StepField(kPlain, {8, 0, 0}), std::nullopt, {9, 9}});
  EXPECT_EQ(OfUse().size(), contents_.fields.size() - 3);
  // A step is of no use without its parameters.
  Erase(ParametersField(kLinear, kOldId));
  const auto names = OfUse();
  EXPECT_EQ(names.size(), 3u);
  EXPECT_EQ(names.back(), StepField(kPlain, kStep));
  std::erase_if(contents_.fields, [&](const StoreField& each) {
    return std::find(names.begin(), names.end(), each.name) == names.end();
  });
  EXPECT_EQ(Reason(), "OK");
}

TEST_F(SessionContentsTest, CollectedFieldsAreWithinALimit) {
  FieldCollector fields(10);
  EXPECT_TRUE(fields.Add({"ab", "cde", {}}).ok());
  EXPECT_EQ(ReasonText(fields.Add({"ab", "cdef", {}})), "QUOTA_MESSAGE_BYTES");
  EXPECT_TRUE(fields.Add({"cd", "efg", {}}).ok());
  EXPECT_EQ(fields.Take().size(), 2u);
}

}  // namespace
}  // namespace dropoutd
