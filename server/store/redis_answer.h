// What the scripts answer, as the store's types.
#ifndef DROPOUTD_SERVER_STORE_REDIS_ANSWER_H_
#define DROPOUTD_SERVER_STORE_REDIS_ANSWER_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/base/token.h"
#include "server/store/redis_caller.h"
#include "server/store/redis_keys.h"
#include "server/store/redis_value.h"
#include "server/store/store.h"

namespace dropoutd {

// NOT_FOUND, STORE_CORRUPT and STORE_UNAVAILABLE, as Store says.
absl::Status RedisNotThere();
absl::Status RedisDamaged();
absl::Status RedisNonsense();

// The item of a list: the default value where there is none.
std::string_view TextAt(const RedisValue& answer, std::size_t index);
std::int64_t NumberAt(const RedisValue& answer, std::size_t index);
Token TokenAt(const RedisValue& answer, std::size_t index);
const std::vector<RedisValue>& ListAt(const RedisValue& answer, std::size_t index);

// A session, as `query` and `snapshot_begin` answer it.
struct RedisSession {
  StoreAnswer answer;
  Token genesis;  // See ParseRedisField.
};

// `fields`: the names that were asked for. A session that is damaged is set aside.
absl::StatusOr<RedisSession> ParseRedisSession(const RedisValue& answer,
                                               const std::vector<std::string>& fields,
                                               const RedisKeys& keys, RedisCaller& caller);

// Returns `damage` after it has set the session aside for it, unless it is no damage. `token` is
// the session's, as it was read.
absl::Status SetAsideFor(const absl::Status& damage, const RedisKeys& keys, Token incarnation,
                         Token token, RedisCaller& caller);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_REDIS_ANSWER_H_
