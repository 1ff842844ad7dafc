// Early return on an error status, for functions that return absl::Status or StatusOr.
#ifndef DROPOUTD_SERVER_BASE_STATUS_MACROS_H_
#define DROPOUTD_SERVER_BASE_STATUS_MACROS_H_

#include <utility>

#define DROPOUTD_RETURN_IF_ERROR(expr)                                \
  do {                                                                \
    if (absl::Status status_ = (expr); !status_.ok()) return status_; \
  } while (false)

// DROPOUTD_ASSIGN_OR_RETURN(const int x, F());
#define DROPOUTD_ASSIGN_OR_RETURN(lhs, expr) \
  DROPOUTD_ASSIGN_OR_RETURN_IMPL_(DROPOUTD_CONCAT_(result_, __LINE__), lhs, expr)
#define DROPOUTD_ASSIGN_OR_RETURN_IMPL_(result, lhs, expr) \
  auto result = (expr);                                    \
  if (!result.ok()) return std::move(result).status();     \
  lhs = *std::move(result)
#define DROPOUTD_CONCAT_(a, b) DROPOUTD_CONCAT_IMPL_(a, b)
#define DROPOUTD_CONCAT_IMPL_(a, b) a##b

#endif  // DROPOUTD_SERVER_BASE_STATUS_MACROS_H_
