// Fuzz target: what a store may give back, whatever its bytes. Byte 0 picks the kind of record.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "server/session/layer_codec.h"
#include "server/session/session_codec.h"

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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 6) {
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
    default:
      static_cast<void>(DecodeBits(bytes));
  }
  return 0;
}
