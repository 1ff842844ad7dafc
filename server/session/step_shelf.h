// The step books of one tenant, the fullest first.
#ifndef DROPOUTD_SERVER_SESSION_STEP_SHELF_H_
#define DROPOUTD_SERVER_SESSION_STEP_SHELF_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <list>
#include <mutex>

namespace dropoutd {

class StepBook;

// Books by the number of records that they can do without. Thread-safe. Its lock comes before those
// of books.
class StepShelf {
 public:
  // A book's, which is the shelf's to guard.
  using Place = std::list<StepBook*>::iterator;

  // Takes a book; puts it where it belongs by now; lets it go.
  void Add(StepBook& book);
  void Update(StepBook& book);
  void Remove(StepBook& book);

  // Row n has those that can do without 2^(n-1) to 2^n - 1 records.
  static std::size_t RowOf(std::size_t forgettable);

  // Whether no book can do without a record.
  bool empty() const { return books_ == 0; }

  // Makes a book of those that can do without most, within a factor of 2, forget one record. False
  // if there is none.
  bool ForgetOne();

 private:
  // The lock is held.
  void Sort(StepBook& book);
  void Move(StepBook& book, std::size_t row);

  static constexpr std::size_t kRows = 65;

  std::mutex mutex_;
  std::array<std::list<StepBook*>, kRows> rows_;
  std::atomic<std::size_t> books_{0};  // That can do without some.
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_SESSION_STEP_SHELF_H_
