#include "server/random/numpy_legacy.h"

#include <algorithm>
#include <locale>
#include <sstream>

namespace dropoutd {

double NumpyLegacyStream::Next() {
  const std::uint32_t a = engine_() >> 5;
  const std::uint32_t b = engine_() >> 6;
  return (a * 67108864.0 + b) / 9007199254740992.0;
}

void NumpyLegacyStream::KeepBits(double p, std::size_t count, std::uint8_t* bits) {
  std::fill_n(bits, (count + 7) / 8, std::uint8_t{0});  // Of nothing, too.
  for (std::size_t i = 0; i < count; ++i) {
    const unsigned kept = Next() > p ? 1 : 0;
    bits[i / 8] = static_cast<std::uint8_t>(bits[i / 8] | kept << (i % 8));
  }
}

std::string NumpyLegacyStream::State() const {
  std::ostringstream text;
  text.imbue(std::locale::classic());
  text << engine_;
  return text.str();
}

bool NumpyLegacyStream::SetState(const std::string& text) {
  std::istringstream in(text);
  in.imbue(std::locale::classic());
  Engine engine;
  if (!(in >> engine)) return false;
  engine_ = engine;
  return true;
}

}  // namespace dropoutd
