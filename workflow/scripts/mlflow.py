"""Rule mlflow: all runs of a study as an MLflow store."""

from pathlib import Path

from labmill.export import mlflow_export
from labmill.runtime import logged

with logged(snakemake.log[0]):
    mlflow_export(Path(snakemake.input.index), Path(snakemake.output.store))
