// What calls make of a session: from one image to the next.
#ifndef DROPOUTD_SERVER_SESSION_SESSION_CHANGES_H_
#define DROPOUTD_SERVER_SESSION_SESSION_CHANGES_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/dropout/parameters.h"
#include "server/session/budgets.h"
#include "server/session/session_image.h"
#include "server/session/session_spec.h"

namespace dropoutd {

// What changes must keep to. Parameters that a change makes are charged to the tenant as long as an
// image, or a step, has them.
struct ChangeRules {
  Budgets& budgets;
  const TenantBudget& tenant;
  std::size_t max_layers = 0;
};

// Nothing is done here but to compute: the image that a function is given never changes, and the
// same one comes back where there is nothing to change. Errors: INVALID_LAYER, LAYER_EXISTS,
// LAYER_NOT_FOUND, QUOTA_LAYERS, QUOTA_PARAMETER_BYTES.

// `ttl`: where the spec has none. The incarnation is drawn, and a seed that every layer can use.
absl::StatusOr<SharedImage> NewSession(const SessionSpec& spec, Nanoseconds ttl, WallTime now,
                                       const ChangeRules& rules);

// A layer that is there and was made from the same configuration stays as it is.
absl::StatusOr<SharedImage> WithLayer(const SharedImage& image, const LayerConfig& config,
                                      const ChangeRules& rules);
absl::StatusOr<SharedImage> WithUpdate(const SharedImage& image, const LayerConfig& config,
                                       const ChangeRules& rules);
absl::StatusOr<SharedImage> WithoutLayer(const SharedImage& image, std::string_view layer_id);

// Of the named layers, or of all and of later ones; `set`: their ids, sorted.
absl::StatusOr<SharedImage> WithMode(const SharedImage& image, Mode mode,
                                     const std::vector<std::string>& layer_ids,
                                     std::vector<std::string>& set);

// Replaces those that are named, all or none. CheckParameter's errors too.
absl::StatusOr<SharedImage> WithParameters(const SharedImage& image, std::string_view layer_id,
                                           const std::vector<Parameter>& parameters,
                                           const ChangeRules& rules);

// The layer, or an error that names it.
absl::StatusOr<SharedLayer> FindLayer(const SessionImage& image, std::string_view layer_id);
absl::Status LayerNotFound(std::string_view layer_id);

// Shared by all layers without parameters.
const SharedParameters& NoParameters();

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SESSION_SESSION_CHANGES_H_
