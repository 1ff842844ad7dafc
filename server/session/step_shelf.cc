#include "server/session/step_shelf.h"

#include <bit>

#include "server/session/step_book.h"

namespace dropoutd {

void StepShelf::Add(StepBook& book) {
  const std::lock_guard lock(mutex_);
  book.place_ = rows_[0].insert(rows_[0].end(), &book);
}

void StepShelf::Remove(StepBook& book) {
  const std::lock_guard lock(mutex_);
  Move(book, 0);
  rows_[0].erase(book.place_);
}

void StepShelf::Update(StepBook& book) {
  const std::lock_guard lock(mutex_);
  Sort(book);
}

// Whoever changes the book after it was looked at sees the row that it has here, or is seen.
void StepShelf::Sort(StepBook& book) {
  do {
    Move(book, RowOf(book.forgettable_));
  } while (RowOf(book.forgettable_) != book.row_);
}

std::size_t StepShelf::RowOf(std::size_t forgettable) {
  return static_cast<std::size_t>(std::bit_width(forgettable));
}

// To the end of the row, so that books of one take turns.
void StepShelf::Move(StepBook& book, std::size_t row) {
  const std::size_t from = book.row_;
  rows_[row].splice(rows_[row].end(), rows_[from], book.place_);
  if (from == 0 && row != 0) ++books_;
  if (from != 0 && row == 0) --books_;
  book.row_ = row;
}

bool StepShelf::ForgetOne() {
  const std::lock_guard lock(mutex_);
  for (std::size_t row = kRows - 1; row != 0; --row) {
    while (!rows_[row].empty()) {
      StepBook& book = *rows_[row].front();
      const bool forgot = book.ForgetOne();
      Sort(book);
      if (forgot) return true;
    }
  }
  return false;
}

}  // namespace dropoutd
