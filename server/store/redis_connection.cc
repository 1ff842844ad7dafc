#include "server/store/redis_connection.h"

#include <hiredis/hiredis.h>
#include <openssl/sha.h>
#include <sys/time.h>

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "server/base/error.h"
#include "server/base/status_macros.h"

namespace dropoutd {
namespace {

timeval ToTimeval(std::chrono::milliseconds time) {
  return {.tv_sec = time.count() / 1000, .tv_usec = time.count() % 1000 * 1000};
}

absl::Status Unavailable(std::string_view why) {
  return MakeError(Reason::kStoreUnavailable,
                   absl::StrCat("Redis: ", absl::string_view(why.data(), why.size())));
}

// The word that an error of Redis's begins with, for example OOM or READONLY; what follows may
// quote a key.
std::string_view WordOf(const redisReply& reply) {
  const std::string_view text(reply.str, reply.len);
  return text.substr(0, text.find(' '));
}

// What a replica says to who writes.
constexpr std::string_view kReadOnly = "READONLY";

// The line of INFO that names the process.
std::string RunIdIn(std::string_view info) {
  constexpr std::string_view kField = "run_id:";
  const std::size_t begin = info.find(kField);
  if (begin == std::string_view::npos) return {};
  const std::string_view rest = info.substr(begin + kField.size());
  return std::string(rest.substr(0, rest.find('\r')));
}

}  // namespace

void FreeRedisReply::operator()(redisReply* reply) const { freeReplyObject(reply); }

RedisScript::RedisScript(std::string source_in) : source(std::move(source_in)) {
  unsigned char digest[SHA_DIGEST_LENGTH];
  SHA1(reinterpret_cast<const unsigned char*>(source.data()), source.size(), digest);
  sha = absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest), sizeof(digest)));
}

absl::StatusOr<std::unique_ptr<RedisConnection>> RedisConnection::Connect(
    const RedisAddress& address) {
  std::unique_ptr<RedisConnection> connection(new RedisConnection(redisConnectWithTimeout(
      address.host.c_str(), address.port, ToTimeval(address.connect_timeout))));
  if (connection->is_broken()) return Unavailable("cannot be reached");
  redisSetTimeout(connection->context_, ToTimeval(address.command_timeout));
  if (!address.password.empty()) {
    RedisArguments auth = {"AUTH"};
    if (!address.user.empty()) auth.push_back(address.user);
    auth.push_back(address.password);
    DROPOUTD_RETURN_IF_ERROR(connection->Run(auth).status());
  }
  if (address.database != 0) {
    const std::string number = absl::StrCat(address.database);
    DROPOUTD_RETURN_IF_ERROR(connection->Run({"SELECT", number}).status());
  }
  DROPOUTD_ASSIGN_OR_RETURN(const RedisReply info, connection->Run({"INFO", "server"}));
  connection->run_id_ = RunIdIn({info->str, info->len});
  return connection;
}

RedisConnection::~RedisConnection() { redisFree(context_); }

bool RedisConnection::is_broken() const {
  return context_ == nullptr || context_->err != 0 || is_demoted_;
}

absl::StatusOr<RedisReply> RedisConnection::Run(const RedisArguments& command) {
  std::vector<const char*> data;
  std::vector<std::size_t> sizes;
  for (const std::string_view each : command) {
    data.push_back(each.data());
    sizes.push_back(each.size());
  }
  redisAppendCommandArgv(context_, static_cast<int>(data.size()), data.data(), sizes.data());
  return Receive();
}

void RedisConnection::Append(const RedisScript& script, const RedisArguments& keys,
                             const RedisArguments& arguments) {
  const std::string key_count = absl::StrCat(keys.size());
  std::vector<const char*> data = {"EVALSHA", script.sha.data(), key_count.data()};
  std::vector<std::size_t> sizes = {7, script.sha.size(), key_count.size()};
  for (const RedisArguments* list : {&keys, &arguments}) {
    for (const std::string_view each : *list) {
      data.push_back(each.data());
      sizes.push_back(each.size());
    }
  }
  redisAppendCommandArgv(context_, static_cast<int>(data.size()), data.data(), sizes.data());
}

absl::StatusOr<RedisReply> RedisConnection::Receive() {
  void* raw = nullptr;
  if (redisGetReply(context_, &raw) != REDIS_OK) return Unavailable("the connection was lost");
  RedisReply reply(static_cast<redisReply*>(raw));
  if (reply == nullptr) return Unavailable("the connection was lost");
  if (reply->type != REDIS_REPLY_ERROR) return reply;
  is_demoted_ = is_demoted_ || WordOf(*reply) == kReadOnly;
  return Unavailable(WordOf(*reply));
}

absl::StatusOr<RedisReply> RedisConnection::Call(const RedisScript& script,
                                                 const RedisArguments& keys,
                                                 const RedisArguments& arguments) {
  Append(script, keys, arguments);
  auto reply = Receive();
  if (reply.ok() || reply.status().message() != Unavailable("NOSCRIPT").message()) return reply;
  DROPOUTD_RETURN_IF_ERROR(Run({"SCRIPT", "LOAD", script.source}).status());
  Append(script, keys, arguments);
  return Receive();
}

}  // namespace dropoutd
