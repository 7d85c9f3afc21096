"""labmill: a study file in, a finished report out."""

from snakemake.utils import min_version

min_version("9.27")


configfile: workflow.source_path("config.yaml")


include: "workflow/rules/common.smk"
include: "workflow/rules/common_stages.smk"


localrules:
    all,
    overview,


rule all:
    """Build the reports that config.yaml lists."""
    input:
        [f"results/{place}/report.html" for place in PLACES],


include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/measure.smk"
include: "workflow/rules/examine.smk"
include: "workflow/rules/looks.smk"
include: "workflow/rules/prune.smk"
include: "workflow/rules/search.smk"
include: "workflow/rules/edits.smk"
include: "workflow/rules/report.smk"


place_jobs()
