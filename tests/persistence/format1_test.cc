// Format 1 is read for ever: what the last server that wrote it has left, data/make_format1.py.
#include "server/persistence/format1/format1.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "server/persistence/session_contents.h"
#include "server/persistence/snapshot_file.h"
#include "tests/persistence/examples.h"

namespace dropoutd {
namespace {

constexpr std::size_t kLayers = 16;

// What the store kept: the session, and its fields.
struct Kept {
  std::string document;
  SessionContents contents;
};

Kept ReadStore() {
  Kept kept;
  for (StoreField& each : ReadFields("format1_store.txt")) {
    if (each.name == DocumentPartName()) {
      kept.document = *each.value;
    } else if (each.name != "i") {
      kept.contents.fields.push_back(std::move(each));
    }
  }
  const auto image = DecodeSession({{DocumentPartName(), kept.document}}, {8, 9});
  EXPECT_TRUE(image.ok()) << image.status();
  if (image.ok()) kept.contents.image = *image;
  return kept;
}

// Of a session with each variant and schedule, two steps of each layer.
void ExpectWhole(const SessionContents& contents) {
  EXPECT_EQ(contents.image.seed, 12345u);
  EXPECT_TRUE(contents.image.seed_given);
  EXPECT_EQ(contents.image.created_layers.size(), kLayers);
  EXPECT_EQ(contents.image.layers.size(), kLayers);
  const LayerImage& dropout = *contents.image.layers.at("dropout");
  EXPECT_EQ(dropout.revision, 2u);
  EXPECT_EQ(dropout.created->p, 0.25);
  EXPECT_EQ(dropout.config->p, 0.5);
  EXPECT_EQ(contents.image.layers.at("dropConnect")->parameters_id.random, 0u);
  const auto parts = TakeApart(contents);
  ASSERT_TRUE(parts.ok()) << parts.status();
  EXPECT_EQ(parts->steps.size(), 2 * kLayers);
  EXPECT_TRUE(parts->stream.has_value());
  std::size_t inputs = 0;
  std::size_t pinned = 0;
  for (const SessionParts::Step& each : parts->steps) {
    inputs += each.input != nullptr ? 1 : 0;
    pinned += each.record.pinned != nullptr ? 1 : 0;
    if (each.uid == dropout.uid) {
      EXPECT_EQ(each.record.rate.p, each.key.step == 1 ? 0.25 : 0.5);
    }
    if (each.uid == contents.image.layers.at("dropConnect")->uid) {
      const float weight = each.key.step == 1 ? 0.5f : 2.0f;
      EXPECT_EQ(FirstElement(*each.input->parameters->Find(kWeight)), weight);
      EXPECT_EQ(*reinterpret_cast<const float*>(each.input->data.get()), 1.5f);
    }
  }
  EXPECT_EQ(inputs, 4u);
  EXPECT_EQ(pinned, 2u);
}

TEST(Format1Test, AStoreIsRead) {
  Kept kept = ReadStore();
  EXPECT_EQ(kept.contents.image.incarnation, (Token{8, 9}));
  ASSERT_TRUE(FillParameters(kept.contents).ok());
  ExpectWhole(kept.contents);
  const auto own = DecodeSession({{DocumentPartName(), kept.document}}, {});
  ASSERT_TRUE(own.ok());
  EXPECT_EQ(own->incarnation.high, 0u);
  EXPECT_NE(own->incarnation.low, 0u);
}

TEST(Format1Test, ExportsAreRead) {
  for (const char* const name : {"format1_memory.session", "format1_sqlite.session"}) {
    const auto snapshot = DecodeSnapshot(ReadTestFile(name));
    ASSERT_TRUE(snapshot.ok()) << snapshot.status();
    EXPECT_TRUE(snapshot->id);
    ExpectWhole(snapshot->contents);
    // And is written as format 2, with the records that it has.
    const auto again = DecodeSnapshot(EncodeSnapshot(*snapshot));
    ASSERT_TRUE(again.ok()) << again.status();
    ExpectWhole(again->contents);
  }
}

// A session that was kept as a document is kept as parts from its next change on, and its old
// records stay readable whatever its layers become.
TEST(Format1Test, ASessionBecomesParts) {
  Kept kept = ReadStore();
  SessionImage& image = kept.contents.image;
  const std::vector<StorePart> before = {{DocumentPartName(), kept.document}};
  EXPECT_TRUE(IsFormat1(before));
  LayerImage changed = *image.layers.at("gaussian");
  LayerConfig config = *changed.config;
  config.p = 0.75;
  changed.config = std::make_shared<const LayerConfig>(config);
  ++changed.revision;
  image.layers["gaussian"] = std::make_shared<const LayerImage>(changed);
  std::vector<StorePart> parts = EncodeSession(image);
  parts.push_back({DocumentPartName(), std::nullopt});
  EXPECT_FALSE(IsFormat1(parts));
  for (const auto& after : {Refresh(image, parts), DecodeSession(parts, {8, 9})}) {
    ASSERT_TRUE(after.ok()) << after.status();
    EXPECT_EQ(after->layers.at("gaussian")->config->p, 0.75);
    SessionContents contents = {*after, kept.contents.fields};
    ASSERT_TRUE(FillParameters(contents).ok());
    ExpectWhole(contents);
    const auto parts_after = TakeApart(contents);
    for (const SessionParts::Step& each : parts_after->steps) {
      if (each.uid == changed.uid) {
        EXPECT_EQ(each.record.config->p, 0.25);
      }
    }
  }
}

// Every beginning of a value, and values with random bytes changed: an error, or values that obey
// the rules; AddressSanitizer sees the rest.
TEST(Format1Test, DamagedBytesAreErrorsOrValid) {
  const Kept kept = ReadStore();
  std::vector<StoreField> values = kept.contents.fields;
  values.push_back({DocumentPartName(), kept.document, {}});
  std::mt19937 random(1);
  const auto read = [&](const StoreField& field, const std::string& bytes) -> absl::Status {
    if (field.name == DocumentPartName()) {
      return DecodeSession({{field.name, bytes}}, {}).status();
    }
    if (field.name == StreamField()) return DecodeStream(bytes, 12345).status();
    const FieldName name = *ParseFieldName(field.name);
    if (name.kind == FieldKind::kConfig) return format1::ReadConfig(bytes).status();
    if (name.kind == FieldKind::kParameters) return DecodeParameters(bytes).status();
    const auto step = DecodeStep(bytes);
    if (!step.ok()) return step.status();
    const auto& layers = kept.contents.image.layers;
    const auto layer = std::find_if(layers.begin(), layers.end(),
                                    [&](const auto& each) { return each.second->uid == name.uid; });
    return RecordOf(*step, name.step, *layer->second, {}).status();
  };
  for (const StoreField& field : values) {
    const std::string& good = *field.value;
    const auto name = ParseFieldName(field.name);
    for (std::size_t size = 0; size < good.size(); ++size) {
      const absl::Status status = read(field, good.substr(0, size));
      const bool may_be_good = name.has_value() && name->kind == FieldKind::kStep;  // An input cut.
      EXPECT_TRUE(!status.ok() || may_be_good || field.name == StreamField() ||
                  (field.name == DocumentPartName() && size + 1 == good.size()))
          << size;
    }
    for (int i = 0; i < 200; ++i) {
      std::string bad = good;
      for (unsigned changes = 1 + random() % 4; changes != 0; --changes) {
        bad[random() % bad.size()] = static_cast<char>(random());
      }
      const absl::Status status = read(field, bad);
      EXPECT_TRUE(status.ok() || ReasonOf(status).has_value()) << status;
    }
  }
}

}  // namespace
}  // namespace dropoutd
