#include "server/store/hiredis_connection.h"

#include <hiredis/hiredis.h>
#include <poll.h>
#include <sys/time.h>

#include <cstddef>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/error.h"
#include "server/base/status_macros.h"

namespace dropoutd {
namespace {

timeval ToTimeval(std::chrono::milliseconds time) {
  return {.tv_sec = time.count() / 1000, .tv_usec = time.count() % 1000 * 1000};
}

absl::Status Unreachable(std::string_view why) {
  return MakeError(Reason::kStoreUnavailable,
                   absl::StrCat("Redis: ", absl::string_view(why.data(), why.size())));
}

RedisValue ToValue(const redisReply& reply) {
  RedisValue value;
  switch (reply.type) {
    case REDIS_REPLY_NIL:
      return value;
    case REDIS_REPLY_INTEGER:
      value.kind = RedisValue::Kind::kInteger;
      value.integer = reply.integer;
      return value;
    case REDIS_REPLY_ARRAY:
      value.kind = RedisValue::Kind::kList;
      value.list.reserve(reply.elements);
      for (std::size_t i = 0; i < reply.elements; ++i) {
        value.list.push_back(ToValue(*reply.element[i]));
      }
      return value;
    default:
      value.kind =
          reply.type == REDIS_REPLY_ERROR ? RedisValue::Kind::kError : RedisValue::Kind::kText;
      value.text.assign(reply.str, reply.len);
      return value;
  }
}

absl::Status Accepted(RedisConnection& connection, const RedisArguments& command) {
  DROPOUTD_ASSIGN_OR_RETURN(const RedisValue answer, connection.Run(command));
  return answer.is_error() ? Unreachable(answer.ErrorWord()) : absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<HiredisConnection>> HiredisConnection::Connect(
    const RedisAddress& address) {
  std::unique_ptr<HiredisConnection> connection(new HiredisConnection(redisConnectWithTimeout(
      address.host.c_str(), address.port, ToTimeval(address.connect_timeout))));
  if (connection->is_broken()) return Unreachable("cannot be reached");
  redisSetTimeout(connection->context_, ToTimeval(address.command_timeout));
  if (!address.password.empty()) {
    RedisArguments auth = {"AUTH"};
    if (!address.user.empty()) auth.push_back(address.user);
    auth.push_back(address.password);
    DROPOUTD_RETURN_IF_ERROR(Accepted(*connection, auth));
  }
  if (address.database != 0) {
    const std::string number = absl::StrCat(address.database);
    DROPOUTD_RETURN_IF_ERROR(Accepted(*connection, {"SELECT", number}));
  }
  return connection;
}

HiredisConnection::~HiredisConnection() { redisFree(context_); }

bool HiredisConnection::is_broken() const {
  return is_closed_ || context_ == nullptr || context_->err != 0;
}

int HiredisConnection::descriptor() const { return is_broken() ? -1 : context_->fd; }

void HiredisConnection::Append(const RedisArguments& command) {
  std::vector<const char*> data;
  std::vector<std::size_t> sizes;
  data.reserve(command.size());
  sizes.reserve(command.size());
  for (const std::string_view each : command) {
    data.push_back(each.data());
    sizes.push_back(each.size());
  }
  redisAppendCommandArgv(context_, static_cast<int>(data.size()), data.data(), sizes.data());
}

absl::StatusOr<RedisValue> HiredisConnection::Receive() {
  void* raw = nullptr;
  if (is_broken() || redisGetReply(context_, &raw) != REDIS_OK || raw == nullptr) {
    is_closed_ = true;
    return Unreachable("the connection was lost");
  }
  RedisValue value = ToValue(*static_cast<redisReply*>(raw));
  freeReplyObject(raw);
  return value;
}

bool HiredisConnection::HasBeenClosed() {
  // No answer is under way, so that all there can be to read is the end.
  pollfd waits = {.fd = context_->fd, .events = POLLIN, .revents = 0};
  if (!is_broken() && poll(&waits, 1, 0) != 0) is_closed_ = true;
  return is_broken();
}

}  // namespace dropoutd
