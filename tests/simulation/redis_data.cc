#include "tests/simulation/redis_data.h"

#include "absl/strings/str_cat.h"

namespace dropoutd {
namespace {

const RedisCommands& AllCommands() {
  static const RedisCommands* const commands = [] {
    auto* made = new RedisCommands;
    AddKeyCommands(*made);
    AddStringCommands(*made);
    AddHashCommands(*made);
    AddListCommands(*made);
    AddSetCommands(*made);
    AddZsetCommands(*made);
    return made;
  }();
  return *commands;
}

std::string_view NameOf(RedisCommand::Key key) {
  switch (key) {
    case RedisCommand::Key::kString:
      return "string";
    case RedisCommand::Key::kHash:
      return "hash";
    case RedisCommand::Key::kList:
      return "list";
    case RedisCommand::Key::kSet:
      return "set";
    case RedisCommand::Key::kZset:
      return "zset";
    case RedisCommand::Key::kAny:
      break;
  }
  return "";
}

}  // namespace

bool RedisData::Zset::Put(const std::string& member, double score) {
  const auto [found, is_new] = scores.emplace(member, score);
  if (!is_new) {
    order.erase({found->second, member});
    found->second = score;
  }
  order.emplace(score, member);
  return is_new;
}

bool RedisData::Zset::Erase(const std::string& member) {
  const auto found = scores.find(member);
  if (found == scores.end()) return false;
  order.erase({found->second, member});
  scores.erase(found);
  return true;
}

const RedisCommand* RedisData::Find(std::string_view name) {
  const auto found = AllCommands().find(name);
  return found == AllCommands().end() ? nullptr : &found->second;
}

RespValue RedisData::Run(const RedisCommand& command, const RespWords& words, std::int64_t now) {
  now_ = now;
  const int count = static_cast<int>(words.size());
  if (command.arity >= 0 ? count != command.arity : count < -command.arity) {
    return RespValue::Error("ERR wrong number of arguments for command");
  }
  if (command.key == RedisCommand::Key::kAny) return command.handler(*this, words);
  if (Has(words[1]) && TypeOf(words[1]) != NameOf(command.key)) {
    return RespValue::Error("WRONGTYPE Operation against a key holding the wrong kind of value");
  }
  RespValue answer = command.handler(*this, words);
  if (IsEmpty(words[1])) Erase(words[1]);
  return answer;
}

RedisData::Entries& RedisData::OwnEntries() {
  if (entries_.use_count() > 1) entries_ = std::make_shared<Entries>(*entries_);
  return *entries_;
}

std::vector<std::string> RedisData::Keys() const {
  std::vector<std::string> keys;
  for (const auto& [key, entry] : *entries_) keys.push_back(key);
  return keys;
}

const RedisData::Entry* RedisData::Live(const std::string& key) {
  const auto found = entries_->find(key);
  if (found == entries_->end()) return nullptr;
  if (found->second->expiry != 0 && found->second->expiry < now_) {
    OwnEntries().erase(key);
    return nullptr;
  }
  return found->second.get();
}

RedisData::Entry& RedisData::Own(const std::string& key) {
  Live(key);
  std::shared_ptr<Entry>& entry = OwnEntries()[key];
  if (entry == nullptr) {
    entry = std::make_shared<Entry>();
  } else if (entry.use_count() > 1) {
    entry = std::make_shared<Entry>(*entry);
  }
  return *entry;
}

bool RedisData::IsEmpty(const std::string& key) const {
  const auto found = entries_->find(key);
  if (found == entries_->end()) return false;
  const auto& value = found->second->value;
  if (const auto* hash = std::get_if<Hash>(&value)) return hash->empty();
  if (const auto* list = std::get_if<List>(&value)) return list->empty();
  if (const auto* set = std::get_if<Set>(&value)) return set->empty();
  if (const auto* zset = std::get_if<Zset>(&value)) return zset->empty();
  return std::holds_alternative<std::monostate>(value);
}

bool RedisData::Erase(const std::string& key) {
  if (Live(key) == nullptr) return false;
  OwnEntries().erase(key);
  return true;
}

void RedisData::Rename(const std::string& from, const std::string& to) {
  Entries& entries = OwnEntries();
  auto node = entries.extract(from);
  if (node.empty()) return;
  entries.erase(to);
  node.key() = to;
  entries.insert(std::move(node));
}

void RedisData::Copy(const std::string& from, const std::string& to) {
  Entries& entries = OwnEntries();
  const auto copied = entries.find(from)->second;
  entries[to] = copied;
}

std::string_view RedisData::TypeOf(const std::string& key) {
  const Entry* const entry = Live(key);
  if (entry == nullptr) return "none";
  constexpr std::string_view kNames[] = {"none", "string", "hash", "list", "set", "zset"};
  return kNames[entry->value.index()];
}

std::int64_t RedisData::Expiry(const std::string& key) {
  const Entry* const entry = Live(key);
  return entry == nullptr ? 0 : entry->expiry;
}

void RedisData::SetExpiry(const std::string& key, std::int64_t when) {
  if (when != 0 && when <= now_) {
    Erase(key);
  } else if (Expiry(key) != when) {
    Own(key).expiry = when;
  }
}

}  // namespace dropoutd
