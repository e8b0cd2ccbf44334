#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>

#include "tools/json.h"

namespace tern::tools {

/// Where it says what the results in a file depend on.
[[nodiscard]] std::string run_path_of(const std::string& results);

/// The results of a batch, one line each, in a file that survives being killed at any moment.
///
/// A result is written whole, in one call; what a killed process has left of a line is cut off when the batch goes on.
/// Beside the file lies FILE.run, which says what the results depend on, so that a batch never goes on with another
/// model or other options. "-" and whatever is no regular file is written to as it is, and cannot be gone on with.
class BatchLog {
 public:
  enum class Existing { kRefuse, kResume, kReplace };

  /// `run`: an object; what the results depend on.
  /// Errors    Error(kInvalidArgument): results that are there already (kRefuse), or of another run (kResume), or that
  ///           another process is writing; Error(kIo)
  BatchLog(const std::string& path, const Json& run, Existing existing);
  ~BatchLog();
  BatchLog(const BatchLog&) = delete;
  BatchLog& operator=(const BatchLog&) = delete;

  /// Results that were there: number of the input's line, and id.
  [[nodiscard]] const std::unordered_map<std::size_t, Json>& done() const noexcept { return done_; }

  /// How many of them are errors.
  [[nodiscard]] std::size_t errors_done() const noexcept { return errors_done_; }

  /// Appends a result, newline included.
  ///
  /// Errors    Error(kIo): what was written of the line is taken back; OutputClosed
  void write(std::string_view line);

 private:
  void open(const Json& run, Existing existing);
  void check_run(const Json& run) const;
  void write_run(const Json& run) const;
  void read_done();
  void add_done(std::string_view line, std::size_t number);
  [[nodiscard]] std::string run_path() const { return run_path_of(path_); }
  [[noreturn]] void fail_to_write() const;

  std::string path_;
  int file_ = -1;         // standard output: -1
  bool regular_ = false;  // can be cut and gone on with
  std::size_t size_ = 0;  // bytes of whole lines
  std::unordered_map<std::size_t, Json> done_;
  std::size_t errors_done_ = 0;
};

/// Puts results into the order of their records.
class InOrder {
 public:
  /// `ordered` false: they are written as they come.
  InOrder(BatchLog& log, bool ordered) : log_(log), ordered_(ordered) {}

  /// The next record in order is this line. Call before its result comes.
  void expect(std::size_t line);
  void write(std::size_t line, std::string text);

 private:
  BatchLog& log_;
  bool ordered_;
  std::map<std::size_t, std::string> waiting_;  // results, empty while they are expected
};

}  // namespace tern::tools
