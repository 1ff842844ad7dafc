// A small Redis in process, which runs our real scripts.
#ifndef DROPOUTD_TESTS_SIMULATION_LUA_REDIS_H_
#define DROPOUTD_TESTS_SIMULATION_LUA_REDIS_H_

#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "tests/simulation/lua_scripts.h"
#include "tests/simulation/redis_data.h"
#include "tests/simulation/resp_value.h"

namespace dropoutd {

// A server process: it answers commands as Redis 7.0.15 does, one at a time, as far as our scripts
// and connections use them. Scripts run in Lua 5.1. Expiry and TIME are of the clock that is given.
// Error texts begin with Redis's own word; the rest may differ. Not thread-safe.
class LuaRedis {
 public:
  using Clock = std::function<std::int64_t()>;  // Microseconds since 1970.

  explicit LuaRedis(Clock clock);

  // `words` begin with the command's name.
  RespValue Execute(const RespWords& words);

  // A replica, or a primary that was demoted: takes no writes.
  void set_read_only(bool read_only) { is_read_only_ = read_only; }
  bool is_read_only() const { return is_read_only_; }

  // Its memory is full (maxmemory, noeviction).
  void set_full(bool full) { is_full_ = full; }

  // Reads its data, and refuses everything.
  void set_loading(bool loading) { is_loading_ = loading; }

  // Replicas that WAIT finds, given what it waits for and how long in milliseconds. Zero if unset.
  using Wait = std::function<std::int64_t(std::int64_t replicas, std::int64_t timeout)>;
  void set_wait(Wait wait) { wait_ = std::move(wait); }

  // What every script is changed to before it is run, under its own hash: for mutations.
  using ScriptFilter = LuaScripts::Filter;
  void set_script_filter(ScriptFilter filter) { scripts_.set_filter(std::move(filter)); }

  // What it holds: copied for a replica, given to a process that starts. Scripts are forgotten.
  const RedisData& data() const { return data_; }
  void Restart(RedisData data);

  // Commands that changed something, since it was made.
  std::uint64_t writes() const { return writes_; }

  // A command that it does not know, if it was ever asked: what this simulation lacks.
  const std::string& unknown_command() const { return unknown_command_; }

 private:
  RespValue Plain(const RespWords& words, std::int64_t now);
  RespValue Script(const RespWords& words);
  RespValue Evaluate(const RespWords& words);
  RespValue CallFromScript(const RespWords& words);

  const Clock clock_;
  Wait wait_;
  RedisData data_;
  LuaScripts scripts_;
  bool is_read_only_ = false;
  bool is_full_ = false;
  bool is_loading_ = false;
  std::uint64_t writes_ = 0;
  std::string unknown_command_;

  // Of the script that runs.
  std::int64_t script_time_ = 0;  // In microseconds.
  bool script_may_write_ = true;
  bool script_may_grow_ = false;
};

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_SIMULATION_LUA_REDIS_H_
