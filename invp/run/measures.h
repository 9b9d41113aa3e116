// The one table of the measures that runs report: what each is called in files, tables and charts.
// A measure that is missing here is still reported, under the name that it has in metrics.jsonl.
#pragma once

#include <string_view>
#include <vector>

#include "invp/run/observer.h"

namespace invp {

/// A chart that several measures share.
struct MeasureChart {
  std::string_view title;
  std::string_view unit;
  bool mark_highest = false;
};

/// In the order in which figures show them.
const std::vector<MeasureChart>& measure_charts();

const std::vector<ShownMeasure>& known_measures();

/// Null for a name that is not in the table.
const ShownMeasure* find_known(std::string_view name);

/// kLast for a name that is not in the table.
MeasurePlace place_of(std::string_view name);

/// The rows of these names, in this order. Throws Error for a name that is not in the table.
std::vector<ShownMeasure> known_measures(const std::vector<std::string_view>& names);

}  // namespace invp
