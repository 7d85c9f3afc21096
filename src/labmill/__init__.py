"""labmill: a study file in, a finished report out."""
