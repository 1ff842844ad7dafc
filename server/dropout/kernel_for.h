// Which of a kernel's four forms a type takes.
#ifndef DROPOUTD_SERVER_DROPOUT_KERNEL_FOR_H_
#define DROPOUTD_SERVER_DROPOUT_KERNEL_FOR_H_

#include "server/dropout/data_type.h"

namespace dropoutd {

// The form for `dtype`, as a function to call.
template <typename Kernel>
Kernel* KernelFor(DataType dtype, Kernel* f32, Kernel* f64, Kernel* f16, Kernel* bf16) {
  switch (dtype) {
    case DataType::kFloat64:
      return f64;
    case DataType::kFloat16:
      return f16;
    case DataType::kBFloat16:
      return bf16;
    case DataType::kFloat32:
      break;
  }
  return f32;
}

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_DROPOUT_KERNEL_FOR_H_
