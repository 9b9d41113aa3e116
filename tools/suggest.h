// What did they mean? Spelling help for every name a person can get wrong.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace invp {

/// Insertions, deletions, substitutions and swaps of neighbours that turn one word into the other
/// (optimal string alignment), letter case aside.
int edit_distance(std::string_view a, std::string_view b);

/// The candidate most like `word`; empty if there are none.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

/// "a, b or c"
std::string join_choices(const std::vector<std::string>& names);

}  // namespace invp
