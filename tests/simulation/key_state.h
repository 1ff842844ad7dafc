// What a store holds under one key, and what each call makes of it: the contract of store.h in the
// plainest words.
#ifndef DROPOUTD_TESTS_SIMULATION_KEY_STATE_H_
#define DROPOUTD_TESTS_SIMULATION_KEY_STATE_H_

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/base/token.h"
#include "server/store/store.h"

namespace dropoutd {

// Values are told by the token of the change that wrote them, and their name. Some have a kilobyte.
std::string ValueOf(Token token, std::string_view name);
std::optional<Token> WriterOf(std::string_view value, std::string_view name);

// Times are microseconds of the store's clock. What may end by itself has the first time at which
// it may; whether it has ended is for the answers to say.
struct KeyState {
  struct Field {
    Token token;
    bool is_there = true;       // Else it is a tombstone,
    std::int64_t fades_at = 0;  // which may go from then on.

    friend auto operator<=>(const Field&, const Field&) = default;
  };

  bool is_there = false;
  Token incarnation;
  Token token;  // Of the session, or of its removal.
  std::map<std::string, Token> parts;
  std::map<std::string, Field> fields;
  std::int64_t ends_at = 0;   // Of a session.
  std::int64_t fades_at = 0;  // Of a removal.

  friend auto operator<=>(const KeyState&, const KeyState&) = default;

  std::string Print() const;
};

// A call, as far as it concerns one key.
struct KeyCall {
  enum class Kind { kCommit, kRemove, kErase, kRead };

  Kind kind = Kind::kRead;
  std::int64_t clock = 0;  // Of the store, when it was made.

  // The clock may step back, so that what has ended or faded may be there once more.
  bool may_step_back = false;
  bool is_glance = false;  // It leaves no note that it has found the session to have ended.

  StoreChange change;                   // kCommit.
  std::map<std::string, Token> staged;  // kCommit: fields that it brings, all of its token.
  Token incarnation;                    // kRemove, kErase.
  Token token;                          // kRemove.
  std::optional<Token> expected;        // kErase, with the two below.
  FieldRange range;
  std::size_t keep = 0;
  std::size_t most = 0;

  std::string Print() const;
};

// What a call was answered, as far as it concerns one key.
struct KeyAnswer {
  StoreResult result;        // kCommit, kRemove.
  std::uint64_t erased = 0;  // kErase.

  // kRead, each as far as it was asked for:
  std::optional<bool> is_there;
  std::optional<Token> incarnation;
  std::optional<Token> token;
  std::optional<std::map<std::string, Token>> parts;
  std::optional<std::map<std::string, Token>> all_fields;  // Without tombstones.
  std::map<std::string, KeyState::Field> fields;

  std::string Print() const;
};

// What may come of a call.
struct KeyOutcome {
  KeyState state;
  KeyState observed;         // By a read.
  KeyAnswer answer;          // Empty of a read; ReadAgrees looks at what it observed.
  bool has_changed = false;  // Set by who asks for it.
};

// All that may come of it, but for renewals, as the latest time that the store's clock has shown is
// `latest_clock`.
std::vector<KeyOutcome> Outcomes(const KeyState& state, const KeyCall& call,
                                 std::int64_t latest_clock);

// Whether the answer of a commit, removal or erasure is what the contract says. The session's token
// in the answer of a repeat may be a later one.
bool Agrees(const KeyCall& call, const KeyAnswer& expected, const KeyAnswer& found);

// Whether a read may be answered so from the state.
bool ReadAgrees(const KeyState& state, const KeyAnswer& found, std::int64_t latest_clock);

// Whether the call cannot change anything any more, whatever comes.
bool IsDead(const KeyState& state, const KeyCall& call);

}  // namespace dropoutd

#endif  // DROPOUTD_TESTS_SIMULATION_KEY_STATE_H_
