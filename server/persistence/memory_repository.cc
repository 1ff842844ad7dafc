#include "server/persistence/memory_repository.h"

#include <chrono>
#include <mutex>
#include <set>
#include <utility>

#include "server/base/error.h"
#include "server/base/running_work.h"
#include "server/base/status_macros.h"
#include "server/persistence/field_collector.h"
#include "server/persistence/field_names.h"
#include "server/persistence/session_codec.h"
#include "server/persistence/step_codec.h"
#include "server/session/quota_terms.h"
#include "server/session/session_changes.h"
#include "server/session/session_key.h"

namespace dropoutd {
namespace {

class MemoryWrite final : public RecordWrite {
 public:
  MemoryWrite(const StepPlace& place, IfPresent if_present)
      : place_(place), if_present_(if_present) {}

  absl::Status Finish(StepRecord record, SharedBits mask,
                      std::shared_ptr<const RetainedInput> input) override {
    return place_.session->Commit(*place_.layer.book, *place_.layer.key, std::move(record),
                                  std::move(mask), std::move(input), if_present_);
  }

 private:
  const StepPlace place_;
  const IfPresent if_present_;
};

// The steps of a session as fields; what the caches have lost is left out.
class StepCollector {
 public:
  explicit StepCollector(std::size_t max_bytes) : fields_(max_bytes) {}

  absl::Status AddParameters(std::uint64_t uid, const ParametersId& id,
                             const SharedParameters& parameters) {
    if (!id || !added_.insert({uid, id}).second) return absl::OkStatus();
    return fields_.Add({ParametersField(uid, id), EncodeParameters(*parameters), {}});
  }

  absl::Status Add(const LayerImage& layer, const StepBook& steps) {
    DROPOUTD_RETURN_IF_ERROR(AddParameters(layer.uid, layer.parameters_id, layer.parameters));
    WorkMeter meter;
    for (const auto& [key, record] : steps.records()) {
      meter.AddRecord();
      const std::shared_ptr<const RetainedInput> input = record->input.Get();
      if (record->input && input == nullptr) continue;
      if (input != nullptr) {
        DROPOUTD_RETURN_IF_ERROR(AddParameters(layer.uid, input->parameters_id, input->parameters));
      }
      DROPOUTD_RETURN_IF_ERROR(
          fields_.Add({StepField(layer.uid, key), EncodeRecord(*record, input.get()), {}}));
    }
    return absl::OkStatus();
  }

  FieldCollector& fields() { return fields_; }

 private:
  FieldCollector fields_;
  std::set<std::pair<std::uint64_t, ParametersId>> added_;
};

absl::Status InstallSteps(Session& session, std::vector<SessionParts::Step> steps) {
  WorkMeter meter;
  for (SessionParts::Step& step : steps) {
    meter.AddRecord();
    const auto& layers = session.version()->image->layers;
    const auto layer = layers.find(step.record.config->layer_id);
    if (layer == layers.end()) continue;
    DROPOUTD_ASSIGN_OR_RETURN(const LayerSnapshot at, session.Snapshot(layer->first, {}));
    DROPOUTD_RETURN_IF_ERROR(session.Commit(*at.book, step.key, std::move(step.record), nullptr,
                                            std::move(step.input), IfPresent::kReplace));
  }
  return absl::OkStatus();
}

}  // namespace

MemoryRepository::MemoryRepository(SessionRegistry& registry, Budgets& budgets,
                                   const Limits& limits, const Clock& clock)
    : registry_(registry), budgets_(budgets), sessions_(SessionTerms(limits)), clock_(clock) {}

absl::StatusOr<std::shared_ptr<Session>> MemoryRepository::FindSession(std::string_view key) const {
  bool has_expired = false;
  auto session = registry_.Renew(key, has_expired);
  if (session == nullptr || has_expired) return SessionNotFound(key);
  return session;
}

absl::StatusOr<FoundSession> MemoryRepository::Find(std::string_view key) {
  DROPOUTD_ASSIGN_OR_RETURN(std::shared_ptr<Session> session, FindSession(key));
  SharedVersion version = session->version();
  return FoundSession{std::move(session), std::move(version)};
}

absl::StatusOr<FoundSession> MemoryRepository::Create(const std::string& key, SharedImage image,
                                                      IsSame is_same, Copied* copied) {
  const auto existing = [&]() -> absl::StatusOr<FoundSession> {
    DROPOUTD_ASSIGN_OR_RETURN(FoundSession found, Find(key));
    if (is_same(*found.version->image)) return found;
    return SessionExists(key);
  };
  auto found = existing();
  if (found.ok() || ReasonOf(found.status()) != Reason::kSessionNotFound) return found;
  DROPOUTD_ASSIGN_OR_RETURN(Charge place, TakePlace(key));
  const auto version = std::make_shared<const Version>(Version{std::move(image), {}});
  const auto made = std::make_shared<Session>(key, version, budgets_, clock_.Now());
  made->Hold(std::move(place));
  if (copied != nullptr) {
    if (copied->parts.stream.has_value()) made->stream().noise = *copied->parts.stream;
    DROPOUTD_RETURN_IF_ERROR(InstallSteps(*made, std::move(copied->parts.steps)));
  }
  while (registry_.Add(made) != made) {
    // Another was made meanwhile. It may have expired again since.
    found = existing();
    if (found.ok() || ReasonOf(found.status()) != Reason::kSessionNotFound) return found;
    made->Renew(clock_.Now());
  }
  return FoundSession{made, version};
}

absl::StatusOr<Charge> MemoryRepository::TakePlace(std::string_view key) {
  auto place = sessions_.Take(TenantOf(key), 1);
  if (place.ok()) return place;
  Sweep();  // What has expired may still hold one.
  return sessions_.Take(TenantOf(key), 1);
}

absl::Status MemoryRepository::Delete(std::string_view key) {
  DROPOUTD_ASSIGN_OR_RETURN(const std::shared_ptr<Session> session, FindSession(key));
  return registry_.Forget(session) ? absl::OkStatus() : SessionNotFound(key);
}

absl::StatusOr<SessionList> MemoryRepository::List(std::string_view after, std::size_t count) {
  SessionList list;
  for (const auto& session : registry_.List(after, count)) {
    const auto left = session->expire_time() - clock_.Now();
    list.sessions.push_back(
        ViewOf(session->key(), *session->version()->image,
               clock_.WallNow() + std::chrono::duration_cast<WallTime::duration>(left)));
    list.last = session->key();
  }
  return list;
}

absl::StatusOr<SharedImage> MemoryRepository::Change(std::string_view key, Next change) {
  DROPOUTD_ASSIGN_OR_RETURN(const std::shared_ptr<Session> session, FindSession(key));
  const std::lock_guard lock(session->changes());
  const SharedVersion before = session->version();
  DROPOUTD_ASSIGN_OR_RETURN(SharedImage next, change(before->image));
  if (next != before->image) session->Show(std::make_shared<const Version>(Version{next, {}}));
  return next;
}

absl::StatusOr<SessionContents> MemoryRepository::Contents(std::string_view key,
                                                           std::size_t max_bytes) {
  DROPOUTD_ASSIGN_OR_RETURN(const std::shared_ptr<Session> session, FindSession(key));
  SharedStream* const stream = session->stream_if_any();
  // Whoever draws holds this: the stream and the steps that were drawn from it belong together.
  const auto turn =
      stream != nullptr ? std::unique_lock(stream->mutex) : std::unique_lock<SlowMutex>();
  StepCollector collector(max_bytes);
  absl::Status status;
  const SharedVersion version =
      session->VisitSteps([&](const LayerImage& layer, const StepBook& steps) {
        if (status.ok()) status = collector.Add(layer, steps);
      });
  DROPOUTD_RETURN_IF_ERROR(status);
  for (const auto& [id, layer] : version->image->layers) {
    DROPOUTD_RETURN_IF_ERROR(
        collector.AddParameters(layer->uid, layer->parameters_id, layer->parameters));
  }
  if (stream != nullptr) {
    DROPOUTD_RETURN_IF_ERROR(
        collector.fields().Add({StreamField(), EncodeStream(stream->noise), {}}));
  }
  return SessionContents{*version->image, collector.fields().Take()};
}

absl::StatusOr<StepPlace> MemoryRepository::FindStep(std::string_view key,
                                                     std::string_view layer_id,
                                                     const std::optional<StepKey>& step, bool) {
  StepPlace place;
  DROPOUTD_ASSIGN_OR_RETURN(place.session, FindSession(key));
  DROPOUTD_ASSIGN_OR_RETURN(place.layer, place.session->Snapshot(layer_id, step));
  place.version = place.session->version();
  return place;
}

std::unique_ptr<RecordWrite> MemoryRepository::StartRecord(const StepPlace& place,
                                                           const StepRecord&,
                                                           std::shared_ptr<const RetainedInput>,
                                                           IfPresent if_present) {
  return std::make_unique<MemoryWrite>(place, if_present);
}

absl::Status MemoryRepository::Release(const StepPlace& place) {
  place.session->ReleaseStep(*place.layer.book, place.layer.record_key);
  return absl::OkStatus();
}

absl::StatusOr<std::uint64_t> MemoryRepository::ReleaseSteps(std::string_view key,
                                                             std::string_view layer_id,
                                                             std::uint64_t through) {
  DROPOUTD_ASSIGN_OR_RETURN(const FoundSession found, Find(key));
  if (layer_id.empty()) return found.session->ReleaseThrough(std::nullopt, through);
  DROPOUTD_ASSIGN_OR_RETURN(const SharedLayer layer, FindLayer(*found.version->image, layer_id));
  return found.session->ReleaseThrough(layer->uid, through);
}

absl::StatusOr<Repository::Drawn> MemoryRepository::Draw(const StepPlace& place,
                                                         const StepKey& asked, const Shape& shape,
                                                         DrawRecord draw) {
  SharedStream& stream = place.session->stream();
  const std::lock_guard turn(stream.mutex);
  // The record is looked at again, because a call before this one in the stream may have been a
  // twin. Mode and options stay those that the call began with.
  DROPOUTD_ASSIGN_OR_RETURN(const LayerSnapshot now,
                            place.session->Snapshot(place.layer.config()->layer_id, asked));
  if (now.image->uid == place.layer.image->uid && now.record != nullptr &&
      now.record->pinned != nullptr && now.record->shape == shape) {
    return Drawn{now.record->pinned, now.record};
  }
  SequentialNoise noise = stream.noise;
  StepRecord record = draw(noise);
  SharedBits bits = record.pinned;
  DROPOUTD_RETURN_IF_ERROR(place.session->Commit(*place.layer.book, *place.layer.key,
                                                 std::move(record), nullptr, nullptr,
                                                 IfPresent::kReplace));
  stream.noise = noise;
  return Drawn{std::move(bits), nullptr};
}

std::size_t MemoryRepository::Sweep() {
  std::size_t count = 0;
  for (const auto& session : registry_.Expired()) count += registry_.Forget(session) ? 1 : 0;
  return count;
}

}  // namespace dropoutd
