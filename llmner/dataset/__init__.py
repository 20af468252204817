"""The data set on storage."""
