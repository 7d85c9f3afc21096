"""Show a running study: in the terminal, as lines in a log, from another machine."""
