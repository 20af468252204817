"""Pictures for people: highlighted text and run reports."""
