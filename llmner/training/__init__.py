"""Training of the generator's adapters."""
