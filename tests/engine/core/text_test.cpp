#include "engine/core/text.h"

#include <gtest/gtest.h>

namespace invp {
namespace {

TEST(Text, PrintableKeepsText) {
  for (const char* text : {"", "a b\\c", "caf\u00e9", "\u65e5\u672c", "\U0001f408", "\u00a0"})
    EXPECT_EQ(printable(text), text);
}

TEST(Text, PrintableShowsWhatTerminalsWouldObey) {
  EXPECT_EQ(printable("\x1b[31mred\x1b]0;title\x07"), "\\x1b[31mred\\x1b]0;title\\x07");
  EXPECT_EQ(printable("a\nb\tc\rd\x7f"), "a\\nb\\tc\\x0dd\\x7f");
  EXPECT_EQ(printable(std::string_view("\0x", 2)), "\\x00x");
  EXPECT_EQ(printable("\u009b31m"), "\\u009b31m");            // a C1 control in UTF-8
  EXPECT_EQ(printable("a\u202egpj.exe"), "a\\u202egpj.exe");  // turns the direction
  EXPECT_EQ(printable("\u2028\u2066\u200f"), "\\u2028\\u2066\\u200f");
}

TEST(Text, PrintableShowsBytesThatAreNotUtf8) {
  EXPECT_EQ(printable("caf\xe9.png"), "caf\\xe9.png");
  EXPECT_EQ(printable("\xc3"), "\\xc3");                    // cut
  EXPECT_EQ(printable("\xc0\x9b"), "\\xc0\\x9b");           // overlong
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");  // a surrogate
  EXPECT_EQ(printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");
}

}  // namespace
}  // namespace invp
