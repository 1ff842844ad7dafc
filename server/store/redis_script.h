// A Lua script that Redis runs.
#ifndef DROPOUTD_SERVER_STORE_REDIS_SCRIPT_H_
#define DROPOUTD_SERVER_STORE_REDIS_SCRIPT_H_

#include <string>

namespace dropoutd {

// Known to a server by its hash, once the server was told its source.
struct RedisScript {
  explicit RedisScript(std::string source);

  std::string source;
  std::string sha;  // SHA-1 of the source, 40 lower-case hexadecimal digits.
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_REDIS_SCRIPT_H_
