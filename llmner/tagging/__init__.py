"""The tagged-generation method: a model repeats a sentence and places tags around its mentions."""
