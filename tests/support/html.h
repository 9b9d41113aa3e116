// A strict reader of HTML pages, for tests: every element but the void ones is closed in its order,
// every attribute is quoted and stands once, '&' begins a character reference, ids are unique.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace invp::testing {

struct HtmlElement {
  std::string name;
  std::map<std::string, std::string> attributes;  ///< as written, references unresolved
};

class HtmlPage {
 public:
  explicit HtmlPage(std::string page) : page_(std::move(page)) { read(); }

  const std::vector<HtmlElement>& elements() const { return elements_; }
  /// All text outside of scripts and styles.
  const std::string& text() const { return text_; }
  /// The insides of the elements <script> and <style>.
  const std::vector<std::string>& raw() const { return raw_; }

  std::int64_t count(std::string_view name, std::string_view style = {}) const {
    return std::ranges::count_if(elements_, [&](const HtmlElement& element) {
      if (element.name != name) return false;
      const auto found = element.attributes.find("class");
      const std::string words = found == element.attributes.end() ? "" : ' ' + found->second + ' ';
      return style.empty() || words.find(' ' + std::string(style) + ' ') != std::string::npos;
    });
  }

 private:
  static bool is_void(const std::string& name) {
    return name == "meta" || name == "img" || name == "br" || name == "link";
  }
  void wrong(const std::string& what) {
    ADD_FAILURE() << what << " at byte " << at_ << ": " << page_.substr(at_, 80);
    at_ = page_.size();
  }
  bool starts(std::string_view text) const {
    return std::string_view(page_).substr(at_).starts_with(text);
  }
  std::string word() {
    const std::size_t first = at_;
    while (at_ < page_.size() && (std::isalnum(static_cast<unsigned char>(page_[at_])) != 0 ||
                                  page_[at_] == '-' || page_[at_] == ':'))
      ++at_;
    return page_.substr(first, at_ - first);
  }
  void spaces() {
    while (at_ < page_.size() && std::isspace(static_cast<unsigned char>(page_[at_])) != 0) ++at_;
  }

  void check_references(const std::string& part) {
    constexpr std::array<std::string_view, 5> kKnown{"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"};
    for (std::size_t at = part.find('&'); at != std::string::npos; at = part.find('&', at + 1)) {
      const bool known = std::ranges::any_of(kKnown, [&](std::string_view reference) {
        return std::string_view(part).substr(at).starts_with(reference);
      });
      if (!known) wrong("a bare & in '" + part.substr(0, 60) + "'");
    }
  }

  void attribute(HtmlElement& element) {
    const std::string name = word();
    if (name.empty()) return wrong("no attribute");
    std::string value;
    if (starts("=")) {
      ++at_;
      if (!starts("\"")) return wrong("an attribute without quotes");
      const std::size_t end = page_.find('"', at_ + 1);
      if (end == std::string::npos) return wrong("an attribute without an end");
      value = page_.substr(at_ + 1, end - at_ - 1);
      if (value.find('<') != std::string::npos) return wrong("'<' in an attribute");
      check_references(value);
      at_ = end + 1;
    } else if (name != "hidden") {
      return wrong("an attribute without a value");
    }
    if (!element.attributes.emplace(name, value).second) return wrong("an attribute twice");
    if (name == "id" && !ids_.insert(value).second) return wrong("an id twice");
  }

  void open_element() {
    HtmlElement element{.name = word(), .attributes = {}};
    if (element.name.empty()) return wrong("'<' in text");
    for (spaces(); at_ < page_.size() && !starts(">") && !starts("/>"); spaces())
      attribute(element);
    const bool closed = starts("/>");
    at_ += closed ? 2 : 1;
    elements_.push_back(element);
    if (closed || is_void(element.name)) return;
    open_.push_back(element.name);
    if (element.name != "script" && element.name != "style") return;
    const std::size_t end = page_.find("</" + element.name + ">", at_);
    if (end == std::string::npos) return wrong("a script or style without an end");
    raw_.push_back(page_.substr(at_, end - at_));
    at_ = end;
  }

  void close_element() {
    at_ += 2;
    const std::string name = word();
    if (open_.empty() || open_.back() != name || !starts(">"))
      return wrong("</" + name + "> where </" + (open_.empty() ? "" : open_.back()) + "> was due");
    open_.pop_back();
    ++at_;
  }

  void read() {
    if (!starts("<!doctype html>\n")) return wrong("no doctype");
    at_ += std::string_view("<!doctype html>\n").size();
    while (at_ < page_.size()) {
      if (starts("</")) {
        close_element();
      } else if (starts("<")) {
        ++at_;
        open_element();
      } else {
        const std::size_t end = std::min(page_.find('<', at_), page_.size());
        const std::string part = page_.substr(at_, end - at_);
        if (part.find('>') != std::string::npos) return wrong("'>' in text");
        check_references(part);
        text_ += part;
        at_ = end;
      }
    }
    EXPECT_TRUE(open_.empty()) << "<" << open_.back() << "> is never closed";
  }

  std::string page_;
  std::size_t at_ = 0;
  std::vector<std::string> open_;
  std::vector<HtmlElement> elements_;
  std::vector<std::string> raw_;
  std::set<std::string> ids_;
  std::string text_;
};

}  // namespace invp::testing
