// From one image of a session to the next, as a change of a store.
#ifndef DROPOUTD_SERVER_PERSISTENCE_SESSION_CHANGE_H_
#define DROPOUTD_SERVER_PERSISTENCE_SESSION_CHANGE_H_

#include <cstdint>
#include <vector>

#include "server/session/session_image.h"
#include "server/store/store.h"

namespace dropoutd {

// The parts that differ, one at least, and the parameters that are new: so that the session gets
// the change's token, also where nothing differs. The token is drawn; the incarnation is that of
// `after`. What is expected of the session is the caller's to say.
StoreChange ChangeBetween(const SessionImage& before, const SessionImage& after);

// The whole session, to be made.
StoreChange ChangeTo(const SessionImage& image);

// What a change has left without a use in the store: fields of layers that have gone, which nobody
// else uses, as their uids are drawn.
std::vector<std::uint64_t> LayersGone(const SessionImage& before, const SessionImage& after);

// And layers that have other parameters: Backwards of steps before the last updates still need
// those that were.
std::vector<std::uint64_t> LayersWithNewParameters(const SessionImage& before,
                                                   const SessionImage& after);

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_PERSISTENCE_SESSION_CHANGE_H_
