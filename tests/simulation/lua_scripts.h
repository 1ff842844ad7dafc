// Lua 5.1 as Redis runs it.
#ifndef DROPOUTD_TESTS_SIMULATION_LUA_SCRIPTS_H_
#define DROPOUTD_TESTS_SIMULATION_LUA_SCRIPTS_H_

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "tests/simulation/resp_value.h"

struct lua_State;

namespace dropoutd {

// Scripts by their hash. Not thread-safe.
class LuaScripts {
 public:
  // What the first line of a script says.
  struct Flags {
    bool has_line = false;  // It begins with #!lua.
    bool no_writes = false;
    bool allow_oom = false;
  };

  // redis.call, by which a script does everything.
  using Call = std::function<RespValue(const RespWords& words)>;

  explicit LuaScripts(Call call);
  ~LuaScripts();
  LuaScripts(const LuaScripts&) = delete;
  LuaScripts& operator=(const LuaScripts&) = delete;

  // What Load makes of a script before it is compiled. Null: nothing.
  using Filter = std::function<std::string(const std::string& source)>;
  void set_filter(Filter filter) { filter_ = std::move(filter); }

  // The script's hash, or an error.
  RespValue Load(const std::string& original);

  // Null: there is no such script.
  const Flags* Find(const std::string& sha) const;

  // Of a script that is there.
  RespValue Run(const std::string& sha, const RespWords& keys, const RespWords& arguments);

  // Forgets them all, as a process that ends.
  void Clear();

 private:
  struct Script {
    Flags flags;
    int function = 0;  // In Lua's registry.
  };

  static int CallFromLua(lua_State* state);   // Raises what goes wrong.
  static int PcallFromLua(lua_State* state);  // Answers it.
  static int Sha1FromLua(lua_State* state);

  bool PushCallAnswer();  // Whether it is no error.
  void OpenLibraries();

  const Call call_;
  Filter filter_;
  lua_State* const state_;
  std::map<std::string, Script> scripts_;
};

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_SIMULATION_LUA_SCRIPTS_H_
