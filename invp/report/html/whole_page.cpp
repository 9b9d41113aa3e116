#include "invp/report/html/whole_page.h"

#include <map>

#include "engine/core/error.h"
#include "invp/report/html/html.h"

namespace invp {

namespace {

/// Replaces every {{name}} by its value, in one pass: a value that holds {{name}} stays as it is.
std::string filled(std::string_view page, const std::map<std::string, std::string>& values) {
  std::string out;
  for (std::size_t open = page.find("{{"); open != std::string_view::npos; open = page.find("{{")) {
    const std::size_t close = page.find("}}", open);
    out += page.substr(0, open);
    out += values.at(std::string(page.substr(open + 2, close - open - 2)));
    page.remove_prefix(close + 2);
  }
  return out += page;
}

std::string missing_list(const std::vector<std::string>& missing) {
  if (missing.empty()) return {};
  std::string out = "<h2 id=\"missing\">Not shown, and why</h2>\n<ul>\n";
  for (const std::string& line : missing) out += "<li>" + html_escaped(line) + "</li>\n";
  return out + "</ul>\n";
}

}  // namespace

std::string page_of(const Page& page) {
  std::string contents;
  std::string body;
  for (const PageSection& section : page.sections) {
    if (section.inside.empty()) continue;
    contents += message("<a href=\"#", section.id, "\">", section.title, "</a>\n");
    body += message("<section id=\"", section.id, "\">\n<h2>", section.title, "</h2>\n",
                    section.inside, "</section>\n");
  }
  if (!page.missing.empty()) contents += "<a href=\"#missing\">Not shown</a>\n";
  return filled(page_html(), {{"title", html_escaped(page.title)},
                              {"subtitle", html_escaped(page.subtitle)},
                              {"style", std::string(page_css())},
                              {"contents", contents},
                              {"sections", body},
                              {"missing", missing_list(page.missing)},
                              {"made by", html_escaped(page.made_by)},
                              {"script", std::string(page_js())}});
}

}  // namespace invp
