#include "server/kernels/stores.h"

#include <hwy/cache_control.h>

namespace dropoutd::kernels {

void FlushStores() { hwy::FlushStream(); }

}  // namespace dropoutd::kernels
