// Opens the store that an operator names.
#ifndef DROPOUTD_SERVER_STORE_OPEN_STORE_H_
#define DROPOUTD_SERVER_STORE_OPEN_STORE_H_

#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/statusor.h"
#include "server/store/redis_url.h"
#include "server/store/sqlite_store.h"
#include "server/store/store.h"

namespace dropoutd {

struct SqliteAddress {
  std::string path;
  bool synchronous_full = false;
};

// std::monostate: no store; sessions live and die with the process.
using StoreAddress = std::variant<std::monostate, SqliteAddress, RedisUrl>;

// `memory`, `sqlite:PATH`, `sqlite:PATH?synchronous=full` or an address that ParseRedisUrl takes.
// INVALID_ARGUMENT says what is wrong, and quotes no password.
absl::StatusOr<StoreAddress> ParseStoreAddress(std::string_view text);

// Null for no store. The stores' own errors.
absl::StatusOr<std::unique_ptr<Store>> OpenStore(const StoreAddress& address);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_OPEN_STORE_H_
