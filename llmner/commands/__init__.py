"""What the commands do and show: progress, tables, pages; one file a command. Nothing below this package prints."""
