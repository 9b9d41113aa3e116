#include "invp/report/text/table.h"

#include <algorithm>

namespace invp {

Table::Table(const std::vector<std::string>& headings) {
  rows_.emplace_back();
  for (const std::string& heading : headings) {
    right_.push_back(heading.starts_with('>'));
    rows_[0].push_back(right_.back() ? heading.substr(1) : heading);
  }
}

void Table::row(std::vector<std::string> cells) {
  cells.resize(right_.size());
  for (std::string& cell : cells) cell = printable(cell);  // names may come from files
  rows_.push_back(std::move(cells));
}

std::string Table::text() const {
  std::vector<std::size_t> widths(right_.size());
  for (const auto& cells : rows_) {
    for (std::size_t i = 0; i < cells.size(); ++i)
      widths[i] = std::max(widths[i], static_cast<std::size_t>(columns_of(cells[i])));
  }
  std::string text;
  for (const auto& cells : rows_) {
    std::string line;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      const std::string pad(widths[i] - static_cast<std::size_t>(columns_of(cells[i])), ' ');
      line += "  " + (right_[i] ? pad + cells[i] : cells[i] + pad);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    if (!line.empty()) text += line + '\n';  // empty: the headings of a table without any
  }
  return text;
}

}  // namespace invp
