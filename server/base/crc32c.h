// CRC-32C (Castagnoli, 1993), as in iSCSI (RFC 3720, B.4).
#ifndef DROPOUTD_SERVER_BASE_CRC32C_H_
#define DROPOUTD_SERVER_BASE_CRC32C_H_

#include <cstdint>
#include <string_view>

namespace dropoutd {

// The checksum of `bytes`, or, given that of what comes before them, of both.
std::uint32_t Crc32c(std::string_view bytes, std::uint32_t before = 0);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_BASE_CRC32C_H_
