"""What each command does and shows: progress, tables, pages; one module for each command."""
