#include "server/store/redis_connection.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"

namespace dropoutd {

void RedisConnection::Append(const RedisScript& script, const RedisArguments& keys,
                             const RedisArguments& arguments) {
  const std::string key_count = absl::StrCat(keys.size());
  RedisArguments command = {"EVALSHA", script.sha, key_count};
  command.insert(command.end(), keys.begin(), keys.end());
  command.insert(command.end(), arguments.begin(), arguments.end());
  Append(command);
}

absl::StatusOr<RedisValue> RedisConnection::Run(const RedisArguments& command) {
  Append(command);
  return Receive();
}

absl::StatusOr<RedisValue> RedisConnection::Call(const RedisScript& script,
                                                 const RedisArguments& keys,
                                                 const RedisArguments& arguments) {
  Append(script, keys, arguments);
  DROPOUTD_ASSIGN_OR_RETURN(RedisValue answer, Receive());
  if (answer.ErrorWord() != "NOSCRIPT") return answer;
  DROPOUTD_ASSIGN_OR_RETURN(const RedisValue loaded, Run({"SCRIPT", "LOAD", script.source}));
  if (loaded.is_error()) return loaded;
  Append(script, keys, arguments);
  return Receive();
}

}  // namespace dropoutd
