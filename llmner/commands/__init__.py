"""What the commands do and show: one module a command."""
