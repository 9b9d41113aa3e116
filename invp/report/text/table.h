// Tables as text: columns as wide as their widest cell, numbers to the right, text to the left.
#pragma once

#include <string>
#include <vector>

#include "engine/core/text.h"

namespace invp {

class Table {
 public:
  /// One heading per column. A leading '>' aligns the column to the right and is not printed.
  explicit Table(const std::vector<std::string>& headings);

  void row(std::vector<std::string> cells);
  /// The lines, each indented by two spaces and without trailing blanks.
  std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
  std::vector<bool> right_;
};

}  // namespace invp
