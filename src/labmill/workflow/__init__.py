"""Connect Snakemake to the plans: targets, locks, the main process."""
