#include "server/store/redis_script.h"

#include <openssl/sha.h>

#include <utility>

#include "absl/strings/escaping.h"

namespace dropoutd {

RedisScript::RedisScript(std::string source_in) : source(std::move(source_in)) {
  unsigned char digest[SHA_DIGEST_LENGTH];
  SHA1(reinterpret_cast<const unsigned char*>(source.data()), source.size(), digest);
  sha = absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest), sizeof(digest)));
}

}  // namespace dropoutd
