// A call of a script.
#ifndef DROPOUTD_SERVER_STORE_REDIS_CALL_H_
#define DROPOUTD_SERVER_STORE_REDIS_CALL_H_

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "server/store/redis_script.h"

namespace dropoutd {

struct RedisCall {
  int bucket = 0;
  const RedisScript* script = nullptr;
  std::vector<std::string> keys;
  std::vector<std::string> arguments;

  // The argument that says until when a write may be made; every attempt has another.
  std::optional<std::size_t> deadline;

  // It changes something, which replicas must have where the options ask for that.
  bool is_write = false;

  // Of its attempts one may have been carried out, or may yet be, without an answer.
  bool is_ambiguous = false;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_REDIS_CALL_H_
