// The known answers of tests/reference/mask_vectors.json, on every instruction set.
#include "tests/random/mask_vectors.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "server/dropout/sequential_noise.h"
#include "server/random/mask_key.h"
#include "tests/dropout/naive_forward.h"
#include "tests/dropout/sha256.h"
#include "tests/kernels/naive.h"
#include "tests/kernels/simd_target_fixture.h"

namespace dropoutd {
namespace {

using Json = nlohmann::json;

// The vector's call in train mode; vectors keyed by step have seed and t.
Call ToCall(const Json& vector) {
  Call call{
      MakeConfig(vector.at("p"), vector.at("broadcast_axes").get<std::vector<std::int32_t>>()),
      Mode::kTrain,
      {},
      vector.at("shape").get<Sizes>()};
  if (!vector.contains("layer_id")) return call;
  const MaskKey key = ToMaskKey(vector);
  call.config.layer_id = std::string(key.layer_id);
  call.at = {key.seed, key.value, static_cast<std::int64_t>(ToUint64(vector.at("sample_offset")))};
  return call;
}

// The vector's plan, which no layer of this variant makes where a sequence is the key.
Plan ToPlan(const Json& vector) {
  Plan plan = MakePlanOf(ToCall(vector));
  plan.stream = MakeBernoulliStream(ToMaskKey(vector), vector.at("p"));
  return plan;
}

PackedBits BitsOf(const Plan& plan) {
  return plan.action == Action::kMask ? DrawBits(plan) : KeepAllBits(plan);
}

std::size_t CountKept(const PackedBits& bits) {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < bits.count(); ++i) kept += bits.Read(i, 1);
  return kept;
}

// Exactly the vector's mask: shape, bits, and unused bits.
void ExpectMask(const Json& vector, const Plan& plan, const PackedBits& bits) {
  EXPECT_EQ(plan.layout.noise, MakeShape(vector.at("noise_shape").get<Sizes>()));
  EXPECT_EQ(CountKept(bits), vector.at("kept").get<std::size_t>());
  if (vector.contains("bits")) {
    EXPECT_EQ(BytesToHex(bits.data(), bits.byte_size()), vector.at("bits"));
  } else {
    EXPECT_EQ(BytesToHex(bits.data(), 32), vector.at("bits_head"));
    EXPECT_EQ(Sha256({bits.data(), bits.byte_size()}), vector.at("bits_sha256"));
  }
}

class MaskVectorsTest : public SimdTargetFixture {};

TEST_P(MaskVectorsTest, Masks) {
  std::set<std::string> kinds;
  for (const Json& vector : MaskVectors("masks")) {
    SCOPED_TRACE(vector.dump());
    const Plan plan = ToPlan(vector);
    ExpectMask(vector, plan, BitsOf(plan));
    kinds.insert(vector.at("keyed_by"));
    if (vector.at("keyed_by") == "step" && plan.action == Action::kMask) {
      const PackedBits bits = DrawBits(MakePlanOf(ToCall(vector)));
      ExpectMask(vector, plan, bits);
    }
  }
  EXPECT_EQ(kinds, (std::set<std::string>{"sequence", "step"}));
}

TEST_P(MaskVectorsTest, Ties) {
  for (const Json& vector : MaskVectors("ties")) {
    const auto stream = MakeBernoulliStream(ToMaskKey(vector), vector.at("p"));
    EXPECT_EQ(stream.threshold >> 56, vector.at("top").get<std::uint64_t>());
    EXPECT_EQ(stream.threshold << 8, ToUint64(vector.at("rest")));
    const std::uint64_t start = ToUint64(vector.at("start"));
    const auto count = vector.at("count").get<std::size_t>();
    Bytes bits((count + 7) / 8);
    kernels::BernoulliBits(stream, start, count, bits.data());
    std::vector<std::uint64_t> ties;
    for (const Json& tie : vector.at("ties")) {
      const std::uint64_t index = ToUint64(tie.at("g"));
      EXPECT_EQ(naive::TieBits(stream, index), ToUint64(tie.at("r"))) << vector.at("p") << index;
      EXPECT_EQ(naive::Bit(bits, index - start), tie.at("kept").get<bool>()) << index;
      ties.push_back(index);
    }
    std::vector<std::uint64_t> found;
    for (std::uint64_t index = start; index < start + count; ++index) {
      if (naive::RandomByte(stream, index) == stream.threshold >> 56) found.push_back(index);
    }
    EXPECT_EQ(found, ties) << vector.at("p");
  }
}

TEST_P(MaskVectorsTest, Apply) {
  for (const Json& vector : MaskVectors("apply")) {
    ASSERT_EQ(vector.at("keyed_by"), "step");
    const Json& input = vector.at("input");
    const Json& output = vector.at("output");
    Bytes x(input.size() * 8);
    for (std::size_t i = 0; i < input.size(); ++i) {
      naive::StoreElement(DataType::kFloat64, HexToUint64(input.at(i)), x.data(), i);
    }
    const Call call = ToCall(vector);
    for (const Bytes& y : {ServerApply(call, DataType::kFloat64, x),
                           ServerDrawAndApply(call, DataType::kFloat64, x)}) {
      for (std::size_t i = 0; i < output.size(); ++i) {
        EXPECT_EQ(naive::LoadElement(DataType::kFloat64, y.data(), i), HexToUint64(output.at(i)))
            << call << " element " << i;
      }
    }
  }
}

DROPOUTD_FOR_EVERY_SIMD_TARGET(MaskVectorsTest);

TEST(MaskVectors, Scales) {
  for (const Json& vector : MaskVectors("scales")) {
    Call call{MakeConfig(vector.at("p")), Mode::kTrain, {}, {1}};
    const double train = MakePlanOf(call).scale;
    EXPECT_EQ(train, HexToDouble(vector.at("train_float64"))) << vector;
    EXPECT_EQ(static_cast<float>(train), HexToDouble(vector.at("train_float32"))) << vector;
    call.mode = Mode::kEval;
    EXPECT_EQ(MakePlanOf(call).scale, 1.0) << vector;
    call.config.scaling = Scaling::kEval;
    const double eval = MakePlanOf(call).scale;
    EXPECT_EQ(eval, HexToDouble(vector.at("eval_float64"))) << vector;
    EXPECT_EQ(static_cast<float>(eval), HexToDouble(vector.at("eval_float32"))) << vector;
  }
}

TEST(MaskVectors, NumpyLegacySessions) {
  for (const Json& session : MaskVectors("numpy_legacy_sessions")) {
    SequentialNoise noise(ToUint64(session.at("seed")));
    for (const Json& forward : session.at("forwards")) {
      SCOPED_TRACE(forward.dump());
      Call call = ToCall(forward);
      call.config.generator = Generator::kNumpyLegacy;
      const Plan plan = MakePlanOf(call);
      ASSERT_EQ(plan.action, Action::kMask);
      PackedBits bits(static_cast<std::size_t>(plan.layout.noise.ElementCount()));
      noise.Draw(call.config.p, bits);
      ExpectMask(forward, plan, bits);
    }
  }
}

TEST(Sha256, PublishedAnswers) {
  EXPECT_EQ(Sha256({}), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  const std::uint8_t abc[] = {'a', 'b', 'c'};
  EXPECT_EQ(Sha256(abc), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Sha256(Bytes(1000, 'a')),
            "41edece42d63e8d9bf515a9ba6932e1c20cbc9f5a5d134645adb5db1b9737ea3");
}

}  // namespace
}  // namespace dropoutd
