// How a field stands in Redis.
#ifndef DROPOUTD_SERVER_STORE_REDIS_FIELD_H_
#define DROPOUTD_SERVER_STORE_REDIS_FIELD_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "server/base/token.h"
#include "server/store/store.h"

namespace dropoutd {

// What stands for a field's value, and for one that was removed. A token of none is that of the
// change that makes the session.
std::string RedisField(Token token, std::string_view name, std::string_view value);
std::string RedisFieldRemoved(Token token);

// The field in `bytes`, empty where there never was one. `genesis`: the token of the change that
// made the session. STORE_CORRUPT where it is damaged, STORE_FORMAT_NEWER.
absl::StatusOr<StoreField> ParseRedisField(std::string_view name, std::string_view bytes,
                                           Token genesis);

// The same of a part, whose value is framed and nothing else.
absl::StatusOr<StorePart> ParseRedisPart(std::string_view name, std::string_view bytes);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_REDIS_FIELD_H_
