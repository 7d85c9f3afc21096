"""Studies on a SLURM cluster: its site file, leftovers, prices, and a preflight."""
