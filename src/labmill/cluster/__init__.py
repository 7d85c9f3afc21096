"""Studies on a SLURM cluster: its site file, orphaned jobs, costs, and a preflight."""
