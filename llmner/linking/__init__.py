"""From mentions to concepts: lexicons, and the links of a data set's mentions to their entries."""
