// Export files: the same comes back, and nothing else is taken.
#include "server/persistence/snapshot_file.h"

#include <gtest/gtest.h>

#include "server/base/crc32c.h"
#include "server/persistence/field_names.h"
#include "server/persistence/stored.pb.h"  // Generated.
#include "tests/persistence/examples.h"

namespace dropoutd {
namespace {

constexpr std::size_t kMagicBytes = 16;

// A session with a linear layer, its parameters and a field.
Snapshot ExampleSnapshot() {
  SessionImage image;
  image.ttl = std::chrono::hours(1);
  LayerConfig config;
  config.layer_id = "linear";
  config.p = 0.5;
  config.options = DropConnectOptions{4, 3, false};
  LayerImage layer = MakeLayerImage(config, 9);
  layer.unknown = "";
  image.layers["linear"] = std::make_shared<const LayerImage>(layer);
  return {{5, 6},
          {image,
           {{ParametersField(9, layer.parameters_id), EncodeParameters(WeightsOf(4, 3)), {}},
            {"x", "of no kind", {}}}}};
}

// With another inside, and its checksum.
std::string FileOf(const std::string& inside) {
  std::string bytes = "dropout session\n" + inside;
  const std::uint32_t crc = Crc32c(bytes);
  for (int shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(crc >> shift);
  return bytes;
}

std::string InsideOf(const std::string& file) {
  return file.substr(kMagicBytes, file.size() - kMagicBytes - 4);
}

TEST(SnapshotFileTest, SessionsComeBack) {
  const Snapshot snapshot = ExampleSnapshot();
  const std::string bytes = EncodeSnapshot(snapshot);
  EXPECT_EQ(bytes.substr(0, kMagicBytes + 1), "dropout session\n\2");
  const auto again = DecodeSnapshot(bytes);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->id, snapshot.id);
  const SessionContents& contents = again->contents;
  EXPECT_EQ(EncodeHead(contents.image).value, EncodeHead(snapshot.contents.image).value);
  ASSERT_EQ(contents.image.layers.size(), 1u);
  const LayerImage& layer = *contents.image.layers.at("linear");
  EXPECT_EQ(EncodeLayer(layer).value,
            EncodeLayer(*snapshot.contents.image.layers.at("linear")).value);
  ASSERT_NE(layer.parameters, nullptr);
  EXPECT_EQ(EncodeParameters(*layer.parameters), EncodeParameters(WeightsOf(4, 3)));
  ASSERT_EQ(contents.fields.size(), 2u);
  EXPECT_EQ(contents.fields[1].name, "x");
  EXPECT_EQ(contents.fields[1].value, "of no kind");
  EXPECT_EQ(EncodeSnapshot(*again), bytes);
}

// The inside that is written by hand is the message.
TEST(SnapshotFileTest, TheInsideIsAMessage) {
  const std::string inside = InsideOf(EncodeSnapshot(ExampleSnapshot()));
  dropout::stored::StoredExport message;
  ASSERT_TRUE(message.ParseFromString(inside.substr(1)));
  EXPECT_EQ(message.parts_size(), 2);
  EXPECT_EQ(message.fields_size(), 2);
  EXPECT_EQ("\2" + message.SerializeAsString(), inside);
}

TEST(SnapshotFileTest, AnyChangedBitIsFound) {
  const std::string good = EncodeSnapshot(ExampleSnapshot());
  for (std::size_t i = 0; i < 8 * good.size(); ++i) {
    std::string bad = good;
    bad[i / 8] = static_cast<char>(bad[i / 8] ^ 1 << i % 8);
    EXPECT_EQ(ReasonText(DecodeSnapshot(bad)), "INVALID_SESSION") << i;
  }
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_EQ(ReasonText(DecodeSnapshot(good.substr(0, size))), "INVALID_SESSION") << size;
  }
}

TEST(SnapshotFileTest, AForgedInsideIsRefused) {
  const std::string good = InsideOf(EncodeSnapshot(ExampleSnapshot()));
  ASSERT_TRUE(DecodeSnapshot(FileOf(good)).ok());
  const auto changed = [&](const auto& change) {
    dropout::stored::StoredExport message;
    EXPECT_TRUE(message.ParseFromString(good.substr(1)));
    change(message);
    return ReasonText(DecodeSnapshot(FileOf("\2" + message.SerializeAsString())));
  };
  EXPECT_EQ(changed([](auto&) {}), "OK");
  EXPECT_EQ(changed([](auto& m) { m.set_id("short"); }), "INVALID_SESSION");
  EXPECT_EQ(changed([](auto& m) { m.set_id(std::string(16, '\0')); }), "INVALID_SESSION");
  EXPECT_EQ(changed([](auto& m) { m.clear_parts(); }), "INVALID_SESSION");
  EXPECT_EQ(changed([](auto& m) { m.clear_fields(); }), "INVALID_SESSION");
  EXPECT_EQ(changed([](auto& m) { m.mutable_parts(1)->set_value("\2"); }), "INVALID_SESSION");
  EXPECT_EQ(changed([](auto& m) { m.mutable_fields(0)->set_value("\2"); }), "INVALID_SESSION");
  EXPECT_EQ(
      changed([](auto& m) { m.mutable_fields(0)->set_value(EncodeParameters(WeightsOf(3, 3))); }),
      "INVALID_SESSION");
  EXPECT_EQ(changed([](auto& m) { m.set_reads_from(3); }), "STORE_FORMAT_NEWER");
  EXPECT_EQ(changed([](auto& m) { m.mutable_parts(1)->set_value("\3"); }), "STORE_FORMAT_NEWER");
  EXPECT_EQ(changed([](auto& m) { m.mutable_fields(0)->set_value("\3"); }), "STORE_FORMAT_NEWER");
  EXPECT_EQ(ReasonText(DecodeSnapshot(FileOf("\3" + good.substr(1)))), "STORE_FORMAT_NEWER");
  EXPECT_EQ(ReasonText(DecodeSnapshot(FileOf(""))), "INVALID_SESSION");
  for (std::size_t size = 0; size < good.size(); ++size) {
    // An entry's end may be an export's.
    const auto cut = DecodeSnapshot(FileOf(good.substr(0, size)));
    EXPECT_TRUE(cut.ok() || ReasonOf(cut.status()).has_value());
  }
}

// In format 1 a field may say that it has no value.
TEST(SnapshotFileTest, AFieldOfFormat1HasAValue) {
  const std::string document = FromHex("0163070101a038a038090000000100");
  const std::string before =
      std::string("\1\5") + static_cast<char>(document.size()) + document + "\1" + "\1x";
  const auto good = DecodeSnapshot(FileOf(before + "\1" + "\1y"));
  ASSERT_TRUE(good.ok()) << good.status();
  EXPECT_EQ(good->contents.fields[0].value, "y");
  EXPECT_EQ(ReasonText(DecodeSnapshot(FileOf(before + '\0'))), "INVALID_SESSION");
}

}  // namespace
}  // namespace dropoutd
