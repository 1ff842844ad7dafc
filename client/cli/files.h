// Files that the commands read and write. `-` names stdin or stdout.
#ifndef DROPOUTD_CLIENT_CLI_FILES_H_
#define DROPOUTD_CLIENT_CLI_FILES_H_

#include <cstdio>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace dropout::cli {

struct FileCloser {
  void operator()(std::FILE* file) const {
    if (file != stdin && file != stdout) std::fclose(file);
  }
};
using FilePtr = std::unique_ptr<std::FILE, FileCloser>;

absl::StatusOr<FilePtr> OpenInput(const std::string& path);

// Everything that `path` has.
absl::StatusOr<std::string> ReadAll(const std::string& path);

// A file that appears under its name only once it is complete: a call that fails leaves
// what was there. Open it before the call, so that a path that cannot be written is found
// before the server has done anything. Not thread-safe.
class OutputFile {
 public:
  static absl::StatusOr<OutputFile> Open(const std::string& path);

  OutputFile(OutputFile&&) noexcept = default;
  OutputFile& operator=(OutputFile&&) = delete;
  ~OutputFile();  // Without Commit(), what was written is thrown away.

  std::FILE* file() const { return file_.get(); }
  bool is_stdout() const { return file_.get() == stdout; }

  // Puts the file in its place. Call it once, after everything was written.
  absl::Status Commit();

 private:
  OutputFile(FilePtr file, std::string path, std::string temporary);

  FilePtr file_;
  std::string path_;
  std::string temporary_;  // Empty: written in place (stdout, devices, pipes).
};

}  // namespace dropout::cli

#endif  // DROPOUTD_CLIENT_CLI_FILES_H_
