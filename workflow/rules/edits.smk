"""The search for the smallest change of architecture that makes a variant faster.

The trials and the confirmed edits are ordinary runs that take their layers from these
rankings.

REQUIRED INPUTS: measure.json (with a profile) and model.json of the variant, history.csv
    and model.json of every trial
OUTPUTS: results/<study>/<variant>/{edits.json, confirmed.json}
"""


rule propose:
    """Rank the edits of one variant by the saving that its profile predicts."""
    input:
        measure=profiled_measure,
        description=profiled_description,
        images=dataset_images,
        card=dataset_card,
        split="results/{study}/split.npz",
    output:
        proposed="results/{study}/{variant}/edits.json",
    log:
        "logs/propose/{study}.{variant}.log",
    benchmark:
        "benchmarks/propose/{study}.{variant}.tsv"
    threads: all_cores
    resources:
        gpu=1,
        cpus_per_task=4,
        mem_mb=16000,
        runtime=60,
    params:
        job=propose_job,
    script:
        "../scripts/propose.py"


rule confirm:
    """Choose the edits that are trained in full among those that were tried."""
    input:
        proposed="results/{study}/{variant}/edits.json",
        trials=trial_files,
    output:
        confirmed="results/{study}/{variant}/confirmed.json",
    log:
        "logs/confirm/{study}.{variant}.log",
    benchmark:
        "benchmarks/confirm/{study}.{variant}.tsv"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        job=confirm_job,
        trials=trial_runs,
    script:
        "../scripts/confirm.py"
