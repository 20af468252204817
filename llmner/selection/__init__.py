"""The selector: judges the generator's candidates, so that wrong ones go and the best boundary stays."""
