#include "server/store/framing.h"

#include <cstddef>
#include <cstdint>

#include "server/base/crc32c.h"

namespace dropoutd {
namespace {

constexpr char kFormat = 1;
constexpr unsigned char kLastKnownFormat = 2;  // 2 is none that is written: it reads as damage.
constexpr std::size_t kHeadBytes = 5;

std::string Head(std::string_view name, std::string_view value) {
  const std::uint32_t crc = Crc32c(value, Crc32c(name));
  std::string head(1, kFormat);
  for (int shift = 0; shift < 32; shift += 8) head += static_cast<char>(crc >> shift);
  return head;
}

}  // namespace

std::string Frame(std::string_view name, std::string_view value) {
  std::string framed = Head(name, value);
  framed += value;
  return framed;
}

std::optional<std::string_view> Unframe(std::string_view name, std::string_view framed) {
  if (framed.size() < kHeadBytes) return std::nullopt;
  const std::string_view value = framed.substr(kHeadBytes);
  if (framed.substr(0, kHeadBytes) != Head(name, value)) return std::nullopt;
  return value;
}

bool IsNewerFrame(std::string_view framed) {
  return !framed.empty() && static_cast<unsigned char>(framed.front()) > kLastKnownFormat;
}

}  // namespace dropoutd
