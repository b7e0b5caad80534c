"""Whether the results are right: units, explanations, statistics, transfer."""
