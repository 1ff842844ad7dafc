// SessionKeeper's part that reads a session whole.
#include <cstdint>
#include <set>
#include <string>
#include <utility>

#include "server/base/error.h"
#include "server/base/status_macros.h"
#include "server/session/session_keeper.h"

namespace dropoutd {
namespace {

// Few, because each may hold an input.
constexpr std::size_t kFieldsAtOnce = 32;

// How often a session is read again that has changed meanwhile.
constexpr int kMostReads = 32;

// Tells what is of use from what only waits to be erased: records of layers that have gone, and of
// steps whose parameters or configuration have. Fields come in the order of their names, in which
// steps are last.
class UseFilter {
 public:
  explicit UseFilter(const SessionImage& image) {
    for (const LayerImage& layer : image.layers) {
      layers_.insert(layer.uid);
      known_.insert(ConfigField(layer.uid, layer.revision));
    }
  }

  absl::StatusOr<bool> IsOfUse(const StoreField& field) {
    if (field.name == StreamField()) return true;
    const auto name = ParseFieldName(field.name);
    if (!name.has_value() || !layers_.contains(name->uid)) return false;
    if (name->kind != FieldKind::kStep) {
      known_.insert(field.name);
      return true;
    }
    DROPOUTD_ASSIGN_OR_RETURN(const DecodedStep step, DecodeStep(*field.value));
    const StepImage& at = step.image;
    return known_.contains(ConfigField(name->uid, at.revision)) &&
           (at.parameters_version == 0 ||
            known_.contains(ParametersField(name->uid, at.parameters_version)));
  }

 private:
  std::set<std::uint64_t> layers_;
  std::set<std::string> known_;  // Names of configurations and parameters.
};

}  // namespace

absl::StatusOr<SessionContents> SessionKeeper::Contents(std::string_view key,
                                                        std::size_t max_bytes) {
  DROPOUTD_ASSIGN_OR_RETURN(const std::shared_ptr<Session> session, Find(key));
  if (store_ == nullptr) return session->Contents(max_bytes);
  for (int i = 0; i < kMostReads; ++i) {
    auto contents = StoredContents(*session, max_bytes);
    if (contents.status().code() != absl::StatusCode::kAborted) return contents;
  }
  return MakeError(Reason::kStoreUnavailable, "too many changes of the session at once");
}

// ABORTED, with no reason, if it changed while it was read. Steps of counter-based generators may
// come and go meanwhile: each is whole by itself.
absl::StatusOr<SessionContents> SessionKeeper::StoredContents(const Session& session,
                                                              std::size_t max_bytes) {
  const std::string_view key = KeyOf(session);
  const StoreField mine = IncarnationField(session.incarnation());
  StoreQuery query;
  query.fields = {mine.name, StreamField()};
  const auto before = store_->Query(key, query);
  if (!before.ok()) return Translate(before.status(), key);
  if (before->fields[0].value != mine.value) return Translate(absl::NotFoundError(""), key);
  SessionContents contents;
  DROPOUTD_ASSIGN_OR_RETURN(contents.image, DecodeSession(*before->document));
  FieldCollector fields(max_bytes);
  UseFilter filter(contents.image);
  FieldRange range = {"", "\xff"};
  while (true) {
    auto found = store_->Scan(key, range, kFieldsAtOnce);
    if (!found.ok()) return Translate(found.status(), key);
    if (found->empty()) break;
    range.first = found->back().name + '\0';
    for (StoreField& each : *found) {
      DROPOUTD_ASSIGN_OR_RETURN(const bool is_of_use, filter.IsOfUse(each));
      if (!is_of_use) continue;
      DROPOUTD_RETURN_IF_ERROR(fields.Add(std::move(each.name), *std::move(each.value)));
    }
  }
  query.known_version = before->version;
  const auto after = store_->Query(key, query);
  if (!after.ok()) return Translate(after.status(), key);
  const bool is_same = after->version == before->version && after->fields[0].value == mine.value &&
                       after->fields[1].value == before->fields[1].value;
  if (!is_same) return absl::AbortedError("");
  contents.fields = fields.Take();
  return contents;
}

}  // namespace dropoutd
