// A page of sections, with a list of what it does not show.
#pragma once

#include <string>
#include <vector>

namespace invp {

struct PageSection {
  std::string id;  ///< a word of letters
  std::string title;
  std::string inside;  ///< HTML; a section without any is left out
};

struct Page {
  std::string title;
  std::string subtitle;
  std::vector<PageSection> sections;
  std::vector<std::string> missing;  ///< a line each, at the end
  std::string made_by;               ///< "invp report"
};

/// The HTML file. Everything but `inside` may be any text.
std::string page_of(const Page& page);

}  // namespace invp
