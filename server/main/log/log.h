// The server's log: one line of JSON an event, on standard error.
#ifndef DROPOUTD_SERVER_MAIN_LOG_LOG_H_
#define DROPOUTD_SERVER_MAIN_LOG_LOG_H_

#include <spdlog/common.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

namespace dropoutd {

using LogLevel = spdlog::level::level_enum;

// The level with this name (debug, info, warn, error, off), for a flag.
bool ParseLogLevel(const std::string& name, LogLevel& level);

// Opens the log, at most once, and closes it, writing what waits. Events outside of this
// lifetime are dropped. Lines are written by a thread of the log's own: where standard error does
// not keep up, the oldest lines are lost, and no call waits.
class LogSession {
 public:
  explicit LogSession(LogLevel level);
  ~LogSession();
  LogSession(const LogSession&) = delete;
  LogSession& operator=(const LogSession&) = delete;
};

// From now on gRPC's own warnings are for debugging: the server ends, and its sockets with it.
void QuietGrpc();

// Waits, half a second at most, until what was logged is written.
void FlushLog();

void SetLogLevel(LogLevel level);
bool IsLogged(LogLevel level);

// One event, written when it goes out of scope:
//
//   LogEvent(LogLevel::info, "reloaded").With("file", path);
//
// becomes {"time": ..., "level": "info", "event": "reloaded", "file": ...}. Never give it a
// tensor's contents or a token.
class LogEvent {
 public:
  LogEvent(LogLevel level, std::string_view event);
  ~LogEvent();
  LogEvent(const LogEvent&) = delete;
  LogEvent& operator=(const LogEvent&) = delete;

  template <typename Value>
  LogEvent& With(const char* name, Value&& value) {
    if (logged_) fields_[name] = std::forward<Value>(value);
    return *this;
  }

 private:
  const LogLevel level_;
  const bool logged_;
  nlohmann::ordered_json fields_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_MAIN_LOG_LOG_H_
