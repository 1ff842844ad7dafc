// Element types of tensors.
#ifndef DROPOUTD_SERVER_DROPOUT_DATA_TYPE_H_
#define DROPOUTD_SERVER_DROPOUT_DATA_TYPE_H_

#include <cstdint>

namespace dropoutd {

// Little-endian; the 16-bit types are computed in float32.
enum class DataType : std::uint8_t { kFloat32, kFloat64, kFloat16, kBFloat16 };

// Bytes of one element.
constexpr std::int64_t ElementSize(DataType dtype) {
  switch (dtype) {
    case DataType::kFloat32:
      return 4;
    case DataType::kFloat64:
      return 8;
    case DataType::kFloat16:
    case DataType::kBFloat16:
      return 2;
  }
  return 0;
}

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_DROPOUT_DATA_TYPE_H_
