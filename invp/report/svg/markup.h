// Text made safe for a page or a picture: nothing that comes from a file can end an attribute, an
// element or a script.
#pragma once

#include <string>
#include <string_view>

namespace invp {

/// Text for an element or an attribute in double quotes: & < > " ' are escaped, what is no UTF-8
/// and control characters become U+FFFD.
std::string html_escaped(std::string_view text);

}  // namespace invp
