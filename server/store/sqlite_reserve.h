// Room on the disk that is kept for removals.
#ifndef DROPOUTD_SERVER_STORE_SQLITE_RESERVE_H_
#define DROPOUTD_SERVER_STORE_SQLITE_RESERVE_H_

#include <cstddef>
#include <string>
#include <utility>

namespace dropoutd {

// A file that is there to be given up when the disk is full: what frees room needs some first. Not
// thread-safe.
class SqliteReserve {
 public:
  static constexpr std::size_t kBytes = std::size_t{4} << 20;

  // `path`: of the database.
  explicit SqliteReserve(const std::string& path) : path_(path + ".reserve") {}

  // Writes the file if it is not there, and the disk has room for it and as much again twice.
  void Keep();

  // Removes the file; whether there was one.
  bool GiveUp();

  // Whether the file was given up and has not been written anew.
  bool is_spent() const { return is_spent_; }

  // Whether, of a spent one, so little is left that only removals may write.
  bool IsForRemovals() const;

 private:
  const std::string path_;
  bool is_kept_ = false;
  bool is_spent_ = false;
};

}  // namespace dropoutd

#endif  // DROPOUTD_SERVER_STORE_SQLITE_RESERVE_H_
