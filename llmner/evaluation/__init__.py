"""Scoring of predicted mentions against gold ones."""
