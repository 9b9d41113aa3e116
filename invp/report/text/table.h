// Tables for people: columns as wide as their widest cell, numbers to the right, text to the left.
#pragma once

#include <string>
#include <vector>

#include "engine/core/text.h"

namespace invp {

class Table {
 public:
  /// Headings; one that begins with '>' heads a column aligned to the right.
  explicit Table(const std::vector<std::string>& headings);

  void row(std::vector<std::string> cells);
  /// Every line indented by two spaces; trailing blanks are left out.
  std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
  std::vector<bool> right_;
};

}  // namespace invp
