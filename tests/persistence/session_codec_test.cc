// What a store keeps of a session: the same comes back, what a later version wrote is kept or left
// alone, and damaged bytes are never taken for good.
#include "server/persistence/session_codec.h"

#include <gtest/gtest.h>

#include <random>

#include "server/persistence/field_names.h"
#include "server/persistence/stored.pb.h"  // Generated.
#include "tests/persistence/examples.h"

namespace dropoutd {
namespace {

namespace stored = dropout::stored;

bool operator==(const LayerImage& a, const LayerImage& b) {
  return a.uid == b.uid && *a.created == *b.created && *a.config == *b.config && a.mode == b.mode &&
         a.revision == b.revision && a.parameters_id == b.parameters_id &&
         a.releasing == b.releasing && a.unknown == b.unknown;
}

void ExpectSame(const SessionImage& a, const SessionImage& b) {
  EXPECT_EQ(a.incarnation, b.incarnation);
  EXPECT_EQ(a.origin, b.origin);
  EXPECT_EQ(a.seed, b.seed);
  EXPECT_EQ(a.ttl, b.ttl);
  EXPECT_EQ(a.create_time, b.create_time);
  EXPECT_EQ(a.mode, b.mode);
  EXPECT_EQ(a.seed_given, b.seed_given);
  EXPECT_EQ(a.ttl_given, b.ttl_given);
  EXPECT_EQ(a.created_mode, b.created_mode);
  EXPECT_EQ(a.unknown, b.unknown);
  ASSERT_EQ(a.created_layers.size(), b.created_layers.size());
  for (std::size_t i = 0; i < a.created_layers.size(); ++i) {
    EXPECT_TRUE(*a.created_layers[i] == *b.created_layers[i]) << i;
  }
  ASSERT_EQ(a.layers.size(), b.layers.size());
  for (const auto& [id, layer] : a.layers) {
    ASSERT_TRUE(b.layers.contains(id)) << id;
    EXPECT_TRUE(*layer == *b.layers.at(id)) << id;
  }
}

SessionImage Decode(const std::vector<StorePart>& parts) {
  const auto image = DecodeSession(parts, {1, 2});
  EXPECT_TRUE(image.ok()) << image.status();
  return image.ok() ? *image : SessionImage();
}

std::string DecodeReason(const std::vector<StorePart>& parts) {
  return ReasonText(DecodeSession(parts, {1, 2}));
}

// The example with one part's message changed.
template <typename Message, typename Change>
std::vector<StorePart> WithChanged(std::size_t part, Change change) {
  std::vector<StorePart> parts = EncodeSession(ExampleSession());
  Message message;
  EXPECT_TRUE(message.ParseFromString(parts[part].value->substr(1)));
  change(message);
  parts[part].value = parts[part].value->substr(0, 1) + message.SerializeAsString();
  return parts;
}

template <typename Message>
void AddUnknown(Message& message, const char* text) {
  message.GetReflection()->MutableUnknownFields(&message)->AddLengthDelimited(1000, text);
}

bool Has(const std::string& bytes, const char* text) { return bytes.find(text) != bytes.npos; }

TEST(SessionCodecTest, SessionsComeBack) {
  ExpectSame(Decode(EncodeSession(ExampleSession())), ExampleSession());
  SessionImage small;
  small.incarnation = {1, 2};
  small.ttl = Nanoseconds(1);
  ExpectSame(Decode(EncodeSession(small)), small);
}

TEST(SessionCodecTest, PartsAreNamedByTheirLayers) {
  const std::vector<StorePart> parts = EncodeSession(ExampleSession());
  EXPECT_EQ(parts.size(), 1 + ExampleSession().layers.size());
  EXPECT_EQ(parts[0].name, HeadPartName());
  EXPECT_EQ(LayerPartName(0x0102030405060708), "l\1\2\3\4\5\6\7\x8");
  EXPECT_EQ(ParseLayerPartName(parts[1].name), kFirstUid);
  for (const char* const each : {"", "l", "s", "document", "l1234567", "l123456789"}) {
    EXPECT_FALSE(ParseLayerPartName(each).has_value()) << each;
  }
}

TEST(SessionCodecTest, ConfigurationsThatAreTheSameAreShared) {
  const SessionImage image = Decode(EncodeSession(ExampleSession()));
  EXPECT_EQ(image.layers.at("layer 1")->config, image.layers.at("layer 1")->created);
  EXPECT_NE(image.layers.at("layer 0")->config, image.layers.at("layer 0")->created);
}

TEST(SessionCodecTest, UnknownFieldsOfALayerAreKeptAtEveryLevel) {
  const auto parts = WithChanged<stored::StoredLayer>(1, [](stored::StoredLayer& layer) {
    AddUnknown(layer, "at the top");
    AddUnknown(*layer.mutable_config(), "in the configuration");
    AddUnknown(*layer.mutable_config()->mutable_dropout(), "in the options");
    AddUnknown(*layer.mutable_created(), "as it was created");
  });
  LayerImage layer = *Decode(parts).layers.at("layer 0");
  EXPECT_EQ(EncodeLayer(layer).value, parts[1].value);
  LayerConfig config = *layer.config;
  config.p = 0.125;
  layer.config = std::make_shared<const LayerConfig>(config);
  layer.mode = Mode::kTrain;
  layer.releasing = 9;
  ++layer.revision;
  const std::string again = *EncodeLayer(layer).value;
  for (const char* const each :
       {"at the top", "in the configuration", "in the options", "as it was created"}) {
    EXPECT_TRUE(Has(again, each)) << each;
  }
  stored::StoredLayer message;
  ASSERT_TRUE(message.ParseFromString(again.substr(1)));
  EXPECT_EQ(message.config().p(), 0.125);
  EXPECT_EQ(message.created().p(), 0.25);
  EXPECT_EQ(message.releasing(), 9u);
  EXPECT_EQ(message.config().dropout().broadcast_axes_size(), 2);
  // Another variant has no use for the options of this one.
  config.options = AlphaOptions{};
  layer.config = std::make_shared<const LayerConfig>(config);
  layer.releasing.reset();
  const std::string alpha = *EncodeLayer(layer).value;
  EXPECT_FALSE(Has(alpha, "in the options"));
  EXPECT_TRUE(Has(alpha, "in the configuration"));
  ASSERT_TRUE(message.ParseFromString(alpha.substr(1)));
  EXPECT_FALSE(message.has_releasing());
}

TEST(SessionCodecTest, UnknownFieldsOfTheHeadAreKeptAtEveryLevel) {
  const auto parts = WithChanged<stored::SessionHead>(0, [](stored::SessionHead& head) {
    head.set_reads_from(1);
    AddUnknown(head, "at the top");
    AddUnknown(*head.mutable_created_layers(2), "in a layer");
    AddUnknown(*head.mutable_created_layers(2)->mutable_curriculum(), "in a schedule");
  });
  SessionImage image = Decode(parts);
  EXPECT_EQ(EncodeHead(image).value, parts[0].value);
  image.mode = Mode::kTrain;
  image.origin = {};
  const std::string again = *EncodeHead(image).value;
  for (const char* const each : {"at the top", "in a layer", "in a schedule"}) {
    EXPECT_TRUE(Has(again, each)) << each;
  }
  stored::SessionHead message;
  ASSERT_TRUE(message.ParseFromString(again.substr(1)));
  EXPECT_EQ(message.mode(), stored::MODE_TRAIN);
  EXPECT_EQ(message.origin(), "");
  EXPECT_EQ(message.created_layers_size(), 4);
}

TEST(SessionCodecTest, WhatIsAllKnownTakesNoMemory) {
  const SessionImage image = Decode(EncodeSession(ExampleSession()));
  EXPECT_EQ(image.unknown, "");
  EXPECT_EQ(image.layers.at("layer 0")->unknown, "");
}

TEST(SessionCodecTest, WhatNeedsALaterVersionSaysSo) {
  using Layer = stored::StoredLayer;
  using Head = stored::SessionHead;
  const std::vector<StorePart> cases[] = {
      WithChanged<Head>(0, [](Head& head) { head.set_reads_from(3); }),
      WithChanged<Head>(0, [](Head& head) { head.set_mode(stored::Mode(2)); }),
      WithChanged<Head>(0, [](Head& head) { head.set_created_mode(stored::Mode(-1)); }),
      WithChanged<Layer>(1, [](Layer& layer) { layer.set_reads_from(99); }),
      WithChanged<Layer>(1, [](Layer& layer) { layer.set_mode(stored::Mode(7)); }),
      WithChanged<Layer>(
          1, [](Layer& layer) { layer.mutable_config()->set_generator(stored::Generator(2)); }),
      WithChanged<Layer>(
          1, [](Layer& layer) { layer.mutable_created()->set_scaling(stored::Scaling(3)); }),
      WithChanged<Layer>(1,
                         [](Layer& layer) {
                           layer.mutable_config()->mutable_drop_block()->set_gamma(
                               stored::StoredDropBlock::Gamma(2));
                         }),
      WithChanged<Layer>(1, [](Layer& layer) {
        layer.mutable_config()->clear_options();
        AddUnknown(*layer.mutable_config(), "another variant");
      })};
  for (std::size_t i = 0; i < std::size(cases); ++i) {
    EXPECT_EQ(DecodeReason(cases[i]), "STORE_FORMAT_NEWER") << i;
  }
  std::vector<StorePart> other_format = EncodeSession(ExampleSession());
  (*other_format[1].value)[0] = 3;
  EXPECT_EQ(DecodeReason(other_format), "STORE_FORMAT_NEWER");
}

TEST(SessionCodecTest, WhatNoServerMakesIsCorrupt) {
  using Layer = stored::StoredLayer;
  using Head = stored::SessionHead;
  const std::vector<StorePart> cases[] = {
      {},
      {{HeadPartName(), std::nullopt}},
      {{HeadPartName(), ""}},
      WithChanged<Head>(0, [](Head& head) { head.set_ttl_nanoseconds(0); }),
      WithChanged<Head>(0, [](Head& head) { head.set_ttl_nanoseconds(INT64_MAX); }),
      WithChanged<Head>(0, [](Head& head) { head.set_origin("short"); }),
      WithChanged<Head>(0, [](Head& head) { head.mutable_created_layers(0)->clear_layer_id(); }),
      WithChanged<Layer>(1, [](Layer& layer) { layer.set_uid(7); }),
      WithChanged<Layer>(1, [](Layer& layer) { layer.set_revision(0); }),
      WithChanged<Layer>(1, [](Layer& layer) { layer.set_revision(kMaxUint64); }),
      WithChanged<Layer>(1, [](Layer& layer) { layer.mutable_config()->set_p(1.5); }),
      WithChanged<Layer>(1, [](Layer& layer) { layer.mutable_config()->clear_options(); }),
      WithChanged<Layer>(1, [](Layer& layer) { layer.clear_config(); }),
      WithChanged<Layer>(1, [](Layer& layer) { layer.mutable_config()->set_layer_id("b"); }),
      WithChanged<Layer>(
          1, [](Layer& layer) { layer.mutable_parameters_id()->set_number(1); }),  // Of no use.
      WithChanged<Layer>(1,
                         [](Layer& layer) {
                           layer.mutable_config()->set_layer_id("layer 1");
                           layer.mutable_created()->set_layer_id("layer 1");  // As another's.
                         }),
      WithChanged<Layer>(1, [](Layer& layer) {
        // The seed is too large for it.
        layer.mutable_config()->set_generator(stored::GENERATOR_NUMPY_LEGACY);
      })};
  for (std::size_t i = 0; i < std::size(cases); ++i) {
    EXPECT_EQ(DecodeReason(cases[i]), "STORE_CORRUPT") << i;
  }
}

TEST(SessionCodecTest, PartsOfOtherKindsAreALaterVersions) {
  std::vector<StorePart> parts = EncodeSession(ExampleSession());
  parts.push_back({"x", "anything"});
  ExpectSame(Decode(parts), ExampleSession());
}

// Every beginning of a part, and parts with random bytes changed: an error, or a session that is
// whole; AddressSanitizer sees the rest.
TEST(SessionCodecTest, DamagedBytesAreErrorsOrValid) {
  const std::vector<StorePart> good = EncodeSession(ExampleSession());
  std::mt19937 random(1);
  for (std::size_t part = 0; part < good.size(); ++part) {
    for (std::size_t size = 0; size < good[part].value->size(); ++size) {
      std::vector<StorePart> bad = good;
      bad[part].value->resize(size);
      static_cast<void>(DecodeSession(bad, {1, 2}));
    }
    for (int i = 0; i < 300; ++i) {
      std::vector<StorePart> bad = good;
      std::string& bytes = *bad[part].value;
      for (unsigned changes = 1 + random() % 4; changes != 0; --changes) {
        bytes[random() % bytes.size()] = static_cast<char>(random());
      }
      const auto image = DecodeSession(bad, {1, 2});
      if (image.ok()) {
        // What is taken comes back.
        EXPECT_TRUE(DecodeSession(EncodeSession(*image), {1, 2}).ok());
      } else {
        EXPECT_NE(ReasonOf(image.status()), std::nullopt);
      }
    }
  }
}

TEST(SessionCodecTest, RefreshSharesWhatHasNotChanged) {
  SessionImage before = Decode(EncodeSession(ExampleSession()));
  const auto with_parameters = [&](const char* id) {
    LayerImage layer = *before.layers.at(id);
    layer.parameters = std::make_shared<const Parameters>(WeightsOf(30, 20));
    before.layers[id] = std::make_shared<const LayerImage>(layer);
  };
  with_parameters("layer 6");
  with_parameters("layer 7");
  LayerImage same_parameters = *before.layers.at("layer 6");
  same_parameters.mode = Mode::kTrain;
  LayerImage other_parameters = *before.layers.at("layer 7");
  other_parameters.parameters_id = {4, 4};
  LayerConfig config;
  config.layer_id = "layer 1";  // Made anew under the name of one that goes.
  const LayerImage made = MakeLayerImage(config, 1);
  SessionImage head = before;
  head.mode = Mode::kTrain;

  const auto after = Refresh(before, {EncodeLayer(made),
                                      EncodeHead(head),
                                      EncodeLayer(same_parameters),
                                      EncodeLayer(other_parameters),
                                      {LayerPartName(kFirstUid + 1), std::nullopt},
                                      {LayerPartName(kFirstUid + 2), std::nullopt},
                                      {LayerPartName(77), std::nullopt}});
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_EQ(after->incarnation, before.incarnation);
  EXPECT_EQ(after->mode, Mode::kTrain);
  EXPECT_EQ(after->layers.at("layer 0"), before.layers.at("layer 0"));
  EXPECT_EQ(after->layers.at("layer 1")->uid, 1u);
  EXPECT_FALSE(after->layers.contains("layer 2"));
  EXPECT_EQ(after->layers.at("layer 6")->mode, Mode::kTrain);
  EXPECT_EQ(after->layers.at("layer 6")->parameters, before.layers.at("layer 6")->parameters);
  EXPECT_EQ(after->layers.at("layer 7")->parameters, nullptr);

  // Two layers of one name.
  LayerImage twin = made;
  twin.uid = 2;
  EXPECT_EQ(ReasonText(Refresh(*after, {EncodeLayer(twin)})), "STORE_CORRUPT");
}

TEST(SessionCodecTest, ParametersComeBack) {
  Parameters parameters = WeightsOf(2, 3);
  parameters.Set(MakeScalar("logit_p", 0.25));
  const std::string bytes = EncodeParameters(parameters);
  const auto decoded = DecodeParameters(bytes);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  ASSERT_EQ(decoded->all().size(), 2u);
  for (std::size_t i = 0; i < 2; ++i) EXPECT_TRUE(*decoded->all()[i] == *parameters.all()[i]);
  EXPECT_EQ(ReasonText(DecodeParameters(EncodeParameters({}))), "STORE_CORRUPT");
  EXPECT_EQ(ReasonText(DecodeParameters("")), "STORE_CORRUPT");
  for (std::size_t size = 1; size < bytes.size(); ++size) {
    // A field's end may be a message's.
    static_cast<void>(DecodeParameters(bytes.substr(0, size)));
  }
  stored::StoredParameters message;
  ASSERT_TRUE(message.ParseFromString(bytes.substr(1)));
  const auto reason = [&] {
    return ReasonText(DecodeParameters("\2" + message.SerializeAsString()));
  };
  message.set_reads_from(3);
  EXPECT_EQ(reason(), "STORE_FORMAT_NEWER");
  message.set_reads_from(2);
  EXPECT_EQ(reason(), "OK");
  message.mutable_parameters(0)->set_dtype(stored::DataType(4));
  EXPECT_EQ(reason(), "STORE_FORMAT_NEWER");
  message.mutable_parameters(0)->set_dtype(stored::DATA_TYPE_BFLOAT16);
  EXPECT_EQ(reason(), "STORE_CORRUPT");
}

TEST(SessionCodecTest, StreamsComeBack) {
  SequentialNoise stream(5);
  PackedBits bits(1001);
  stream.Draw(0.5, bits);
  const auto again = DecodeStream(EncodeStream(stream), 5);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->State(), stream.State());
  EXPECT_NE(again->State(), SequentialNoise(5).State());
  EXPECT_EQ(DecodeStream(stream.State(), 5)->State(), stream.State());  // Of format 1.
  EXPECT_EQ(ReasonText(DecodeStream(EncodeStream(stream), kMaxUint64)), "STORE_CORRUPT");
  EXPECT_EQ(ReasonText(DecodeStream("\2", 5)), "STORE_CORRUPT");
  EXPECT_EQ(ReasonText(DecodeStream("\3", 5)), "STORE_FORMAT_NEWER");
}

TEST(FieldNamesTest, FieldsAreInTheOrderOfTheSteps) {
  const StepKey keys[] = {{0, -5, 9},  {0, 0, 0},    {0, 0, 1},         {0, 7, 0},
                          {255, 0, 0}, {256, -1, 0}, {kMaxUint64, 0, 0}};
  for (std::size_t i = 0; i + 1 < std::size(keys); ++i) {
    EXPECT_LT(StepField(3, keys[i]), StepField(3, keys[i + 1])) << i;
  }
  for (const std::uint64_t uid : {std::uint64_t{3}, kMaxUint64}) {
    const FieldRange through = StepFieldsThrough(uid, 255);
    EXPECT_LE(through.first, StepField(uid, keys[0]));
    EXPECT_LT(StepField(uid, keys[4]), through.last);
    EXPECT_GE(StepField(uid, keys[5]), through.last);
    const FieldRange all = StepFieldsThrough(uid, kMaxUint64);
    EXPECT_LT(StepField(uid, keys[6]), all.last);
    EXPECT_LT(all.first, all.last);
    EXPECT_GE(StepField(uid + 1, keys[0]) < all.first, uid == kMaxUint64);
    EXPECT_EQ(all.last, LayerFields(FieldKind::kStep, uid).last);
  }
  // The oldest parameters come first.
  EXPECT_LT(ParametersField(3, {4, kMaxUint64}), ParametersField(3, {5, 0}));
  EXPECT_LT(ParametersField(3, {4, 0}), ParametersField(3, {4, kMaxUint64}));
  EXPECT_GE(ParametersField(3, {4, 0}), LayerFields(FieldKind::kParameters, 3).first);
}

TEST(FieldNamesTest, NamesAreReadBack) {
  const StepKey key = {kMaxUint64, -7, 9};
  const auto step = ParseFieldName(StepField(3, key));
  ASSERT_TRUE(step.has_value());
  EXPECT_EQ(step->kind, FieldKind::kStep);
  EXPECT_EQ(step->uid, 3u);
  EXPECT_EQ(step->step, key);
  const auto config = ParseFieldName(ConfigField(4, 5));
  ASSERT_TRUE(config.has_value());
  EXPECT_EQ(config->kind, FieldKind::kConfig);
  EXPECT_EQ(config->revision, 5u);
  for (const ParametersId& id : {ParametersId{6, 0}, ParametersId{6, 7}}) {
    const auto parameters = ParseFieldName(ParametersField(4, id));
    ASSERT_TRUE(parameters.has_value());
    EXPECT_EQ(parameters->kind, FieldKind::kParameters);
    EXPECT_EQ(parameters->parameters, id);
  }
  // A name that no function makes is none: the random number of format 1 is not written.
  const std::string twice = ParametersField(4, {6, 0}) + std::string(8, '\0');
  for (const std::string& each :
       {std::string(), StreamField(), std::string("i"), std::string("s1234567"), twice,
        StepField(3, key) + "12345678", StepField(3, key).substr(0, 25)}) {
    EXPECT_FALSE(ParseFieldName(each).has_value()) << each;
  }
}

}  // namespace
}  // namespace dropoutd
