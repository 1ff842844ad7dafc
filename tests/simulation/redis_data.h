// What a simulated Redis holds, and the commands on it.
#ifndef DROPOUTD_TESTS_SIMULATION_REDIS_DATA_H_
#define DROPOUTD_TESTS_SIMULATION_REDIS_DATA_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "tests/simulation/resp_value.h"

namespace dropoutd {

class RedisData;

// A command that RedisData knows.
struct RedisCommand {
  enum class Key { kAny, kString, kHash, kList, kSet, kZset };  // What the first key must hold.

  using Handler = RespValue (*)(RedisData& data, const RespWords& words);
  Handler handler;
  int arity;  // Words, the name's too; negative: at least so many.
  Key key;
  bool writes;
  bool needs_memory;  // Refused by a Redis that is full.
};

// Keys and their values, as Redis 7.0 answers for them. Order within hashes and sets is that of
// the bytes, where Redis's own is none. Copies are cheap: they share what neither has changed.
// Not thread-safe.
class RedisData {
 public:
  using Hash = std::map<std::string, std::string, std::less<>>;
  using List = std::deque<std::string>;
  using Set = std::set<std::string, std::less<>>;
  struct Zset {
    std::map<std::string, double, std::less<>> scores;
    std::set<std::pair<double, std::string>> order;

    bool empty() const { return scores.empty(); }
    std::size_t size() const { return scores.size(); }
    bool Put(const std::string& member, double score);  // Whether it is new.
    bool Erase(const std::string& member);
  };

  // Null: there is no such command. `name` in capital letters.
  static const RedisCommand* Find(std::string_view name);

  // `words` begin with the command's name. `now`: in milliseconds of this Redis's clock.
  RespValue Run(const RedisCommand& command, const RespWords& words, std::int64_t now);

  std::size_t size() const { return entries_->size(); }
  std::vector<std::string> Keys() const;

  // For the handlers. What has expired is not there.
  std::int64_t now() const { return now_; }
  template <typename T>
  const T* Get(const std::string& key) {
    const Entry* const entry = Live(key);
    return entry == nullptr ? nullptr : std::get_if<T>(&entry->value);
  }
  // Makes an empty one, which Run removes if it stays so.
  template <typename T>
  T& Make(const std::string& key) {
    Entry& entry = Own(key);
    if (!std::holds_alternative<T>(entry.value)) entry.value = T();
    return std::get<T>(entry.value);
  }
  bool Has(const std::string& key) { return Live(key) != nullptr; }
  bool Erase(const std::string& key);
  void Rename(const std::string& from, const std::string& to);
  void Copy(const std::string& from, const std::string& to);
  std::string_view TypeOf(const std::string& key);
  std::int64_t Expiry(const std::string& key);                // 0: none.
  void SetExpiry(const std::string& key, std::int64_t when);  // At once if it has passed. 0: none.

 private:
  struct Entry {
    std::variant<std::monostate, std::string, Hash, List, Set, Zset> value;
    std::int64_t expiry = 0;
  };

  const Entry* Live(const std::string& key);
  Entry& Own(const std::string& key);
  bool IsEmpty(const std::string& key) const;

  using Entries = std::map<std::string, std::shared_ptr<Entry>, std::less<>>;
  Entries& OwnEntries();

  std::shared_ptr<Entries> entries_ = std::make_shared<Entries>();
  std::int64_t now_ = 0;
};

// The commands, by name, of each kind.
using RedisCommands = std::map<std::string_view, RedisCommand>;
void AddKeyCommands(RedisCommands& commands);
void AddStringCommands(RedisCommands& commands);
void AddHashCommands(RedisCommands& commands);
void AddListCommands(RedisCommands& commands);
void AddSetCommands(RedisCommands& commands);
void AddZsetCommands(RedisCommands& commands);

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_SIMULATION_REDIS_DATA_H_
