#include "tests/dropout/sha256.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <vector>

#include "tests/random/mask_vectors.h"

namespace dropoutd {
namespace {

using Words = std::array<std::uint32_t, 8>;
using RoundWords = std::array<std::uint32_t, 64>;

// The first 32 bits of the fractional part (FIPS 180-4, 4.2.2 and 5.3.3); long double holds
// them for roots below 2^9.
std::uint32_t FractionBits(long double root) {
  return static_cast<std::uint32_t>(std::ldexp(root - std::floor(root), 32));
}

std::vector<int> Primes(std::size_t count) {
  std::vector<int> primes;
  for (int n = 2; primes.size() < count; ++n) {
    bool is_prime = true;
    for (const int prime : primes) is_prime = is_prime && n % prime != 0;
    if (is_prime) primes.push_back(n);
  }
  return primes;
}

std::uint32_t BigEndian(const std::uint8_t* bytes) {
  return std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 |
         std::uint32_t{bytes[2]} << 8 | bytes[3];
}

void Compress(const std::uint8_t* block, const RoundWords& constants, Words& hash) {
  RoundWords w;
  for (std::size_t i = 0; i < 16; ++i) w[i] = BigEndian(block + 4 * i);
  for (std::size_t i = 16; i < 64; ++i) {
    const std::uint32_t a = w[i - 15];
    const std::uint32_t b = w[i - 2];
    w[i] = w[i - 16] + (std::rotr(a, 7) ^ std::rotr(a, 18) ^ a >> 3) + w[i - 7] +
           (std::rotr(b, 17) ^ std::rotr(b, 19) ^ b >> 10);
  }
  Words s = hash;
  for (std::size_t i = 0; i < 64; ++i) {
    const std::uint32_t sum1 = std::rotr(s[4], 6) ^ std::rotr(s[4], 11) ^ std::rotr(s[4], 25);
    const std::uint32_t choice = (s[4] & s[5]) ^ (~s[4] & s[6]);
    const std::uint32_t t1 = s[7] + sum1 + choice + constants[i] + w[i];
    const std::uint32_t sum0 = std::rotr(s[0], 2) ^ std::rotr(s[0], 13) ^ std::rotr(s[0], 22);
    const std::uint32_t majority = (s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]);
    s = {t1 + sum0 + majority, s[0], s[1], s[2], s[3] + t1, s[4], s[5], s[6]};
  }
  for (std::size_t i = 0; i < 8; ++i) hash[i] += s[i];
}

}  // namespace

std::string Sha256(std::span<const std::uint8_t> bytes) {
  const std::vector<int> primes = Primes(64);
  RoundWords constants;
  for (std::size_t i = 0; i < 64; ++i) constants[i] = FractionBits(std::cbrt(1.0L * primes[i]));
  Words hash;
  for (std::size_t i = 0; i < 8; ++i) hash[i] = FractionBits(std::sqrt(1.0L * primes[i]));
  std::vector<std::uint8_t> padded(bytes.begin(), bytes.end());
  padded.push_back(0x80);
  padded.resize((padded.size() + 8 + 63) / 64 * 64);
  for (std::size_t i = 0; i < 8; ++i) {
    padded[padded.size() - 1 - i] = static_cast<std::uint8_t>(bytes.size() * 8 >> (8 * i));
  }
  for (std::size_t at = 0; at < padded.size(); at += 64) {
    Compress(padded.data() + at, constants, hash);
  }
  std::vector<std::uint8_t> digest;
  for (const std::uint32_t word : hash) {
    for (int shift = 24; shift >= 0; shift -= 8) {
      digest.push_back(static_cast<std::uint8_t>(word >> shift));
    }
  }
  return BytesToHex(digest.data(), digest.size());
}

}  // namespace dropoutd
