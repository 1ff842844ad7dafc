// Fuzz target: what a store or a snapshot may hold, whatever its bytes. Byte 0 picks the kind of
// record.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/base/crc32c.h"
#include "server/base/error.h"
#include "server/persistence/field_names.h"
#include "server/persistence/format1/format1.h"
#include "server/persistence/session_codec.h"
#include "server/persistence/session_contents.h"
#include "server/persistence/snapshot_file.h"
#include "server/persistence/step_codec.h"
#include "tests/fuzz/import_session.h"

namespace {

using namespace dropoutd;

// A layer that the seeds' steps fit.
LayerImage ALayer() {
  LayerConfig config;
  config.layer_id = "layer";
  config.p = 0.25;
  LayerImage layer;
  layer.uid = 1;
  layer.created = layer.config = std::make_shared<const LayerConfig>(config);
  layer.revision = 3;
  return layer;
}

StorePart AHead() {
  SessionImage image;
  image.ttl = std::chrono::hours(1);
  return EncodeHead(image);
}

// An answer, or an error of the codecs'.
template <typename T>
bool IsTaken(const absl::StatusOr<T>& result) {
  if (!result.ok() && !ReasonOf(result.status()).has_value()) std::abort();
  return result.ok();
}

// What is taken for good comes back as it was.
void CheckSession(const std::vector<StorePart>& parts) {
  const auto session = DecodeSession(parts, {1, 1});
  if (!IsTaken(session)) return;
  const std::vector<StorePart> encoded = EncodeSession(*session);
  const auto again = DecodeSession(encoded, {1, 1});
  if (!again.ok()) std::abort();
  const std::vector<StorePart> encoded_again = EncodeSession(*again);
  if (encoded.size() != encoded_again.size()) std::abort();
  for (std::size_t i = 0; i < encoded.size(); ++i) {
    if (encoded[i].value != encoded_again[i].value) std::abort();
  }
}

void CheckStep(std::string_view bytes) {
  const LayerImage layer = ALayer();
  const auto step = DecodeStep(bytes);
  if (!IsTaken(step)) return;
  const auto record = RecordOf(*step, {}, layer, {});
  if (!IsTaken(record) || step->input.has_value()) return;
  const std::string encoded = EncodeRecord(*record, nullptr);
  const auto step_again = DecodeStep(encoded);
  if (!step_again.ok()) std::abort();
  const auto again = RecordOf(*step_again, {}, layer, {});
  if (!again.ok() || EncodeRecord(*again, nullptr) != encoded) std::abort();
}

void CheckParameters(std::string_view bytes) {
  const auto parameters = DecodeParameters(bytes);
  if (!IsTaken(parameters)) return;
  const std::string encoded = EncodeParameters(*parameters);
  const auto again = DecodeParameters(encoded);
  if (!again.ok() || EncodeParameters(*again) != encoded) std::abort();
}

// A snapshot with a right checksum, so that its inside is looked at.
void CheckSnapshot(std::string_view inside) {
  std::string bytes = "dropout session\n";
  bytes += inside;
  const std::uint32_t crc = Crc32c(bytes);
  for (int shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(crc >> shift);
  const auto snapshot = DecodeSnapshot(bytes);
  if (IsTaken(snapshot)) {
    IsTaken(TakeApart(snapshot->contents));
    if (!DecodeSnapshot(EncodeSnapshot(*snapshot)).ok()) std::abort();
  }
  ImportAndUse(bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string value(bytes);
  switch (data[0] % 8) {
    case 0:
      CheckSession({{DocumentPartName(), value}});
      break;
    case 1:
      CheckStep(bytes);
      break;
    case 2:
      IsTaken(format1::ReadConfig(bytes));
      break;
    case 3:
      CheckParameters(bytes);
      break;
    case 4:
      IsTaken(DecodeStream(bytes, 7));
      break;
    case 5:
      CheckSession({AHead(), {LayerPartName(1), value}});
      break;
    case 6:
      CheckSnapshot(bytes);
      break;
    default:
      CheckSession({{HeadPartName(), value}});
  }
  return 0;
}
