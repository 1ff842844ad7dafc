#include "server/store/redis_slots.h"

#include <cstdint>

namespace dropoutd {

// CRC-16 with the polynomial 0x1021 and no other twist (XMODEM), modulo the number of slots.
int RedisSlotOf(std::string_view tag) {
  constexpr unsigned kPolynomial = 0x1021;
  unsigned crc = 0;
  for (const char c : tag) {
    crc ^= static_cast<unsigned>(static_cast<std::uint8_t>(c)) << 8;
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc & 0x8000U) != 0 ? (crc << 1) ^ kPolynomial : crc << 1;
    }
    crc &= 0xFFFFU;
  }
  return static_cast<int>(crc % kRedisSlots);
}

}  // namespace dropoutd
