#include "tests/simulation/lua_scripts.h"

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/store/redis_script.h"
#include "tests/simulation/redis_words.h"

extern "C" {
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
}

namespace dropoutd {
namespace {

// Lua is C, and its errors jump over destructors: no function here raises one while it has any.

void PushText(lua_State* state, const std::string& text) {
  lua_pushlstring(state, text.data(), text.size());
}

void PushNamed(lua_State* state, const char* name, const std::string& text) {
  lua_newtable(state);
  PushText(state, text);
  lua_setfield(state, -2, name);
}

void Push(lua_State* state, const RespValue& value) {
  switch (value.kind) {
    case RespValue::Kind::kNil:
      return lua_pushboolean(state, 0);
    case RespValue::Kind::kInteger:
      return lua_pushnumber(state, static_cast<lua_Number>(value.integer));
    case RespValue::Kind::kStatus:
      return PushNamed(state, "ok", value.text);
    case RespValue::Kind::kError:
      return PushNamed(state, "err", value.text);
    case RespValue::Kind::kBulk:
      return PushText(state, value.text);
    case RespValue::Kind::kArray:
      break;
  }
  lua_createtable(state, static_cast<int>(value.array.size()), 0);
  for (std::size_t i = 0; i < value.array.size(); ++i) {
    Push(state, value.array[i]);
    lua_rawseti(state, -2, static_cast<int>(i) + 1);
  }
}

void PushList(lua_State* state, const RespWords& words) {
  lua_createtable(state, static_cast<int>(words.size()), 0);
  for (std::size_t i = 0; i < words.size(); ++i) {
    PushText(state, words[i]);
    lua_rawseti(state, -2, static_cast<int>(i) + 1);
  }
}

std::string TextAt(lua_State* state, int index) {
  std::size_t size = 0;
  const char* const text = lua_tolstring(state, index, &size);
  return std::string(text, size);
}

// The text in a field of the table on top.
std::optional<std::string> NamedText(lua_State* state, const char* name) {
  lua_pushstring(state, name);
  lua_rawget(state, -2);
  std::optional<std::string> text;
  if (lua_type(state, -1) == LUA_TSTRING) text = TextAt(state, -1);
  lua_pop(state, 1);
  return text;
}

// Takes the value on top, as Redis answers it.
RespValue Pop(lua_State* state) {
  RespValue value;
  switch (lua_type(state, -1)) {
    case LUA_TSTRING:
      value = RespValue::Bulk(TextAt(state, -1));
      break;
    case LUA_TBOOLEAN:
      if (lua_toboolean(state, -1)) value = RespValue::Integer(1);
      break;
    case LUA_TNUMBER:
      value = RespValue::Integer(static_cast<std::int64_t>(lua_tonumber(state, -1)));
      break;
    case LUA_TTABLE:
      if (const auto error = NamedText(state, "err")) {
        value = RespValue::Error(*error);
      } else if (const auto status = NamedText(state, "ok")) {
        value = RespValue::Status(*status);
      } else {
        value = RespValue::Array();
        for (int i = 1;; ++i) {
          lua_rawgeti(state, -1, i);
          if (lua_isnil(state, -1)) break;
          value.array.push_back(Pop(state));
        }
        lua_pop(state, 1);
      }
      break;
    default:
      break;
  }
  lua_pop(state, 1);
  return value;
}

// The words of a call, or nothing if some are neither text nor number.
std::optional<RespWords> WordsOf(lua_State* state) {
  RespWords words;
  const int count = lua_gettop(state);
  for (int i = 1; i <= count; ++i) {
    if (lua_type(state, i) == LUA_TNUMBER) {
      words.push_back(PrintNumber(lua_tonumber(state, i)));
    } else if (lua_type(state, i) == LUA_TSTRING) {
      words.push_back(TextAt(state, i));
    } else {
      return std::nullopt;
    }
  }
  if (words.empty()) return std::nullopt;
  return words;
}

const char kSelf = 0;  // Its address is the key of the LuaScripts in the registry.

LuaScripts& SelfOf(lua_State* state) {
  lua_pushlightuserdata(state, const_cast<char*>(&kSelf));
  lua_rawget(state, LUA_REGISTRYINDEX);
  auto* const self = static_cast<LuaScripts*>(lua_touserdata(state, -1));
  lua_pop(state, 1);
  return *self;
}

// `flags=a,b` after #!lua, or nothing if there is what Redis does not know.
std::optional<LuaScripts::Flags> ReadFlags(std::string_view line) {
  LuaScripts::Flags flags{.has_line = true};
  for (const absl::string_view word :
       absl::StrSplit(absl::string_view(line.data(), line.size()), ' ', absl::SkipEmpty())) {
    if (word == "#!lua") continue;
    if (word.substr(0, 6) != "flags=") return std::nullopt;
    for (const absl::string_view flag : absl::StrSplit(word.substr(6), ',', absl::SkipEmpty())) {
      if (flag == "no-writes") {
        flags.no_writes = true;
      } else if (flag == "allow-oom") {
        flags.allow_oom = true;
      } else if (flag != "allow-stale" && flag != "no-cluster" && flag != "allow-cross-slot-keys") {
        return std::nullopt;
      }
    }
  }
  return flags;
}

// Errors that a script catches are texts, and no script may read or write a global that is not
// there.
constexpr char kProtect[] = R"lua(
local call_protected = pcall
function pcall(...)
  local answer = {call_protected(...)}
  local why = answer[2]
  if not answer[1] and type(why) == 'table' and why.err then return false, why.err end
  return unpack(answer)
end
local names = {}
for name, value in pairs(_G) do names[name] = value end
for _, name in ipairs({'print', 'dofile', 'loadfile', 'io', 'require', 'module', 'package'}) do
  names[name] = nil
end
_ENVIRONMENT = setmetatable({}, {
  __index = function(_, name)
    local value = rawget(_G, name)
    if name == 'KEYS' or name == 'ARGV' then return value end
    if names[name] == nil then
      error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
    end
    return names[name]
  end,
  __newindex = function() error('Attempt to modify a readonly table', 2) end,
})
)lua";

}  // namespace

LuaScripts::LuaScripts(Call call) : call_(std::move(call)), state_(luaL_newstate()) {
  OpenLibraries();
}

LuaScripts::~LuaScripts() { lua_close(state_); }

void LuaScripts::OpenLibraries() {
  luaL_openlibs(state_);
  lua_pushlightuserdata(state_, const_cast<char*>(&kSelf));
  lua_pushlightuserdata(state_, this);
  lua_rawset(state_, LUA_REGISTRYINDEX);
  const luaL_Reg functions[] = {
      {"call", CallFromLua}, {"pcall", PcallFromLua}, {"sha1hex", Sha1FromLua}, {nullptr, nullptr}};
  luaL_register(state_, "redis", functions);
  lua_pop(state_, 1);
  const bool fails = luaL_dostring(state_,
                                   "redis.error_reply = function(text) return {err = text} end\n"
                                   "redis.status_reply = function(text) return {ok = text} end\n"
                                   "redis.log = function() end\n"
                                   "redis.LOG_DEBUG, redis.LOG_VERBOSE = 0, 1\n"
                                   "redis.LOG_NOTICE, redis.LOG_WARNING = 2, 3\n"
                                   "redis.setresp = function() end\n") ||
                     luaL_dostring(state_, kProtect);
  if (fails) lua_pop(state_, 1);
}

bool LuaScripts::PushCallAnswer() {
  const std::optional<RespWords> words = WordsOf(state_);
  lua_settop(state_, 0);
  const RespValue answer =
      words ? call_(*words)
            : RespValue::Error("ERR Lua redis lib command arguments must be strings or integers");
  Push(state_, answer);
  return !answer.is_error();
}

int LuaScripts::CallFromLua(lua_State* state) {
  if (!SelfOf(state).PushCallAnswer()) return lua_error(state);
  return 1;
}

int LuaScripts::PcallFromLua(lua_State* state) {
  SelfOf(state).PushCallAnswer();
  return 1;
}

int LuaScripts::Sha1FromLua(lua_State* state) {
  luaL_checkstring(state, 1);
  PushText(state, RedisScript(TextAt(state, 1)).sha);
  return 1;
}

RespValue LuaScripts::Load(const std::string& original) {
  const std::string sha = RedisScript(original).sha;
  if (scripts_.count(sha) != 0) return RespValue::Bulk(sha);
  const std::string source = filter_ ? filter_(original) : original;
  Script script;
  std::string body = source;
  if (source.rfind("#!", 0) == 0) {
    const std::size_t end = source.find('\n');
    const auto flags = ReadFlags(std::string_view(source).substr(0, end));
    if (!flags || source.rfind("#!lua", 0) != 0 || end == std::string::npos) {
      return RespValue::Error("ERR Invalid script shebang or flags");
    }
    script.flags = *flags;
    body = source.substr(end);
  }
  if (luaL_loadbuffer(state_, body.data(), body.size(), "@user_script") != 0) {
    const std::string why = TextAt(state_, -1);
    lua_pop(state_, 1);
    return RespValue::Error(absl::StrCat("ERR Error compiling script: ", why));
  }
  lua_getglobal(state_, "_ENVIRONMENT");
  lua_setfenv(state_, -2);
  script.function = luaL_ref(state_, LUA_REGISTRYINDEX);
  scripts_[sha] = script;
  return RespValue::Bulk(sha);
}

const LuaScripts::Flags* LuaScripts::Find(const std::string& sha) const {
  const auto found = scripts_.find(sha);
  return found == scripts_.end() ? nullptr : &found->second.flags;
}

RespValue LuaScripts::Run(const std::string& sha, const RespWords& keys,
                          const RespWords& arguments) {
  lua_settop(state_, 0);
  PushList(state_, keys);
  lua_setglobal(state_, "KEYS");
  PushList(state_, arguments);
  lua_setglobal(state_, "ARGV");
  lua_rawgeti(state_, LUA_REGISTRYINDEX, scripts_.at(sha).function);
  const int result = lua_pcall(state_, 0, 1, 0);
  if (result != 0 && lua_type(state_, -1) == LUA_TSTRING) {
    const std::string why = TextAt(state_, -1);
    lua_pop(state_, 1);
    return RespValue::Error(absl::StrCat("ERR ", why, " script: ", sha));
  }
  return Pop(state_);
}

void LuaScripts::Clear() {
  for (const auto& [sha, script] : scripts_) luaL_unref(state_, LUA_REGISTRYINDEX, script.function);
  scripts_.clear();
}

}  // namespace dropoutd
