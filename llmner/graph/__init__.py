"""The knowledge graph of a data set: documents and concepts, what mentions what, and what occurs together."""
