// Fuzz target: what a store or a snapshot may hold, whatever its bytes. Byte 0 picks the kind of
// record.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "server/base/crc32c.h"
#include "server/session/layer_codec.h"
#include "server/session/session_codec.h"
#include "server/session/session_contents.h"

namespace {

using namespace dropoutd;

// What is taken for good comes back as it was.
void CheckSession(std::string_view bytes) {
  const auto session = DecodeSession(bytes);
  if (!session.ok()) return;
  const auto again = DecodeSession(EncodeSession(*session));
  if (!again.ok() || EncodeSession(*again) != EncodeSession(*session)) std::abort();
}

void CheckLayer(std::string_view bytes) {
  const auto layer = DecodeLayer(bytes);
  if (!layer.ok()) return;
  const auto again = DecodeLayer(EncodeLayer(*layer));
  // As bytes: a number that nobody uses may be no number.
  if (!again.ok() || EncodeLayer(*again) != EncodeLayer(*layer)) std::abort();
}

void CheckStep(std::string_view bytes) {
  const auto step = DecodeStep(bytes);
  if (!step.ok()) return;
  const std::string encoded = EncodeStep(step->image, step->payload);
  const auto again = DecodeStep(encoded);
  if (!again.ok() || again->payload != step->payload || again->image.shape != step->image.shape) {
    std::abort();
  }
}

// A snapshot with a right checksum, so that its inside is looked at.
void CheckSnapshot(std::string_view inside) {
  std::string bytes = "dropout session\n";
  bytes += inside;
  const std::uint32_t crc = Crc32c(bytes);
  for (int shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(crc >> shift);
  const auto snapshot = DecodeSnapshot(bytes);
  if (snapshot.ok()) static_cast<void>(TakeApart(snapshot->contents));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 7) {
    case 0:
      CheckSession(bytes);
      break;
    case 1:
      CheckStep(bytes);
      break;
    case 2:
      CheckLayer(bytes);
      break;
    case 3:
      static_cast<void>(DecodeParameters(bytes));
      break;
    case 4:
      static_cast<void>(DecodeInput(bytes));
      break;
    case 5:
      static_cast<void>(DecodeBits(bytes));
      break;
    default:
      CheckSnapshot(bytes);
  }
  return 0;
}
