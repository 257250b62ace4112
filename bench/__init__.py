"""What we claim about speed and quality, as commands that print a table: `python -m bench --help`."""
