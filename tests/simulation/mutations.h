// Faults put back, to show that the simulation finds them.
#ifndef DROPOUTD_TESTS_SIMULATION_MUTATIONS_H_
#define DROPOUTD_TESTS_SIMULATION_MUTATIONS_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "server/store/store.h"
#include "tests/simulation/engine_face.h"

namespace dropoutd {

struct Mutation {
  std::string name;

  // In the scripts, all that is `from` becomes `to`. Empty: nothing.
  std::string from;
  std::string to;

  // Around a store. Null: nothing.
  std::function<std::unique_ptr<Store>(std::unique_ptr<Store>)> wrap = nullptr;

  // Before an engine; whole engines are run to find it. Null: nothing.
  MakeEngineFace face = nullptr;

  bool is_of_engines = false;  // Whether whole engines are run to find it.

  // What the scripts are with it. One that is not there any more changes nothing.
  std::string Of(const std::string& script) const;
};

const std::vector<Mutation>& AllMutations();

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_SIMULATION_MUTATIONS_H_
