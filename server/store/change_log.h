// The last changes of a session's token, as a store remembers them.
#ifndef DROPOUTD_SERVER_STORE_CHANGE_LOG_H_
#define DROPOUTD_SERVER_STORE_CHANGE_LOG_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "server/base/token.h"
#include "server/store/store.h"

namespace dropoutd {

// By it a repeat finds itself, and a query the parts that have changed. Not thread-safe.
class ChangeLog {
 public:
  static constexpr std::size_t kMostChanges = 64;
  static constexpr std::size_t kMostNameBytes = 4096;  // Of parts; older changes lose theirs.

  struct Entry {
    Token token;
    std::uint64_t erased = 0;  // What StoreResult::count said.
    bool has_names = true;
    std::vector<std::string> names;  // Of the parts that it wrote.
  };

  // Adds a change that has given the session its token; forgets what is too old.
  void Add(const StoreChange& change, std::uint64_t erased);

  // The change with this token, if it is among the last ones.
  const Entry* Find(Token token) const;

  // The names of the parts that were written after the change `known`; nothing if that is not
  // remembered.
  std::optional<std::set<std::string>> NamesSince(Token known) const;

  // As bytes, and back; nothing if they are damaged.
  std::string Bytes() const;
  static std::optional<ChangeLog> FromBytes(std::string_view bytes);

 private:
  std::deque<Entry> entries_;  // The oldest first.
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_CHANGE_LOG_H_
