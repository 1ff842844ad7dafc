#include "server/persistence/use_filter.h"

#include "server/base/status_macros.h"
#include "server/persistence/field_names.h"
#include "server/persistence/step_codec.h"

namespace dropoutd {

UseFilter::UseFilter(const SessionImage& image) {
  for (const auto& [id, layer] : image.layers) layers_.emplace(layer->uid, layer);
}

absl::StatusOr<bool> UseFilter::IsOfUse(const StoreField& field) {
  if (!field.value.has_value()) return false;
  if (field.name == StreamField()) return true;
  const auto name = ParseFieldName(field.name);
  if (!name.has_value()) return false;
  const auto found = layers_.find(name->uid);
  if (found == layers_.end()) return false;
  const LayerImage& layer = *found->second;
  if (name->kind != FieldKind::kStep) {
    known_.insert(field.name);
    return true;
  }
  if (layer.releasing.has_value() && name->step.step <= *layer.releasing) return false;
  DROPOUTD_ASSIGN_OR_RETURN(const DecodedStep step, DecodeStep(*field.value));
  const auto config = ConfigFieldOf(step, layer);
  return (!config.has_value() || known_.contains(*config)) &&
         (!step.parameters_id || known_.contains(ParametersField(name->uid, step.parameters_id)));
}

}  // namespace dropoutd
