#include "dropout/types.h"

namespace dropout {

std::size_t ElementSize(DataType dtype) {
  switch (dtype) {
    case DataType::kFloat32:
      return 4;
    case DataType::kFloat64:
      return 8;
    case DataType::kFloat16:
    case DataType::kBFloat16:
      return 2;
    case DataType::kUnspecified:
      break;
  }
  return 0;
}

}  // namespace dropout
