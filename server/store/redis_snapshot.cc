#include "server/store/redis_snapshot.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/store/redis_field.h"
#include "server/store/redis_scripts.h"

namespace dropoutd {
namespace {

// Of one call of a script, which keeps all others waiting.
constexpr std::size_t kMostNames = 250;
constexpr std::size_t kMostScanBytes = std::size_t{1} << 20;

}  // namespace

RedisSnapshot::RedisSnapshot(RedisKeys keys, RedisSession session, std::string id, std::string slot,
                             RedisCaller& caller)
    : keys_(std::move(keys)),
      session_(std::move(session)),
      id_(std::move(id)),
      base_(keys_.BaseOf(session_.answer.incarnation)),
      set_aside_(base_ + "s" + slot),
      set_aside_names_(base_ + "z" + slot),
      caller_(caller) {}

RedisSnapshot::~RedisSnapshot() {
  RedisCall call;
  call.bucket = keys_.bucket;
  call.script = &Scripts().snapshot_end;
  call.keys = {keys_.d, set_aside_, set_aside_names_};
  call.arguments = {id_, session_.answer.incarnation.Bytes()};
  (void)caller_.Run(call);  // Else it goes by itself.
}

absl::StatusOr<std::vector<StoreField>> RedisSnapshot::Next(std::size_t limit) {
  std::vector<StoreField> fields;
  while (fields.empty() && !is_over_) {
    const absl::Status read = Read(std::clamp<std::size_t>(limit, 1, kMostNames), fields);
    if (!read.ok()) {
      return SetAsideFor(read, keys_, session_.answer.incarnation, session_.answer.token, caller_);
    }
  }
  return fields;
}

absl::Status RedisSnapshot::Read(std::size_t limit, std::vector<StoreField>& fields) {
  RedisCall call;
  call.bucket = keys_.bucket;
  call.script = &Scripts().snapshot_next;
  call.keys = {base_ + "f", base_ + "n", set_aside_, set_aside_names_};
  call.arguments = {id_, first_, absl::StrCat(limit), absl::StrCat(kMostScanBytes)};
  DROPOUTD_ASSIGN_OR_RETURN(const RedisValue answer, caller_.Run(call));
  if (WordOf(answer) == "gone") return RedisUnavailable("the snapshot was read too slowly");
  if (WordOf(answer) != "ok" || answer.list.size() != 8) return RedisNonsense();
  std::optional<std::string> end;  // The last name that both lists reach.
  for (const std::size_t i : {2, 4}) {
    if (NumberAt(answer, i) == 0) continue;
    const std::string_view last = TextAt(answer, i + 1);
    if (!end.has_value() || last < *end) end = last;
  }
  for (const std::size_t list : {6, 7}) {
    const std::vector<RedisValue>& found = ListAt(answer, list);
    for (std::size_t i = 0; i + 1 < found.size(); i += 2) {
      const std::string& name = found[i].text;
      if (end.has_value() && *end < name) break;
      DROPOUTD_ASSIGN_OR_RETURN(StoreField field,
                                ParseRedisField(name, found[i + 1].text, session_.genesis));
      if (field.value.has_value()) fields.push_back(std::move(field));
    }
  }
  std::sort(fields.begin(), fields.end(),
            [](const StoreField& a, const StoreField& b) { return a.name < b.name; });
  is_over_ = !end.has_value();
  if (end.has_value()) first_ = "(" + *end;
  return absl::OkStatus();
}

}  // namespace dropoutd
