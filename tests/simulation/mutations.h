// Faults put back, to show that the simulation finds them.
#ifndef DROPOUTD_TESTS_SIMULATION_MUTATIONS_H_
#define DROPOUTD_TESTS_SIMULATION_MUTATIONS_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "server/store/store.h"

namespace dropoutd {

struct Mutation {
  std::string name;

  // In the scripts, all that is `from` becomes `to`. Empty: nothing.
  std::string from;
  std::string to;

  // Around a store. Null: nothing.
  std::function<std::unique_ptr<Store>(std::unique_ptr<Store>)> wrap;

  // What the scripts are with it. One that is not there any more changes nothing.
  std::string Of(const std::string& script) const;
};

const std::vector<Mutation>& StoreMutations();

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_SIMULATION_MUTATIONS_H_
