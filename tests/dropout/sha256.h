// SHA-256, in which the known answers give long masks.
#ifndef DROPOUTD_TESTS_DROPOUT_SHA256_H_
#define DROPOUTD_TESTS_DROPOUT_SHA256_H_

#include <cstdint>
#include <span>
#include <string>

namespace dropoutd {

// The digest of `bytes` in lower-case hex.
std::string Sha256(std::span<const std::uint8_t> bytes);

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_DROPOUT_SHA256_H_
