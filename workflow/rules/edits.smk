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
        measure=job_input("propose", "measure"),
        description=job_input("propose", "description"),
        images=dataset_file("images.npy"),
        card=dataset_file("card.json"),
        split=split_file("split.npz"),
    output:
        proposed="results/{study}/{variant}/edits.json",
    log:
        "logs/propose/{study}.{variant}.log",
    benchmark:
        "benchmarks/propose/{study}.{variant}.tsv"
    threads: all_cores
    resources:
        **rule_resources("propose"),
    params:
        job=job_params("propose"),
    script:
        "../scripts/propose.py"


rule confirm:
    """Choose the edits that are trained in full among those that were tried."""
    input:
        proposed="results/{study}/{variant}/edits.json",
        trials=job_input("confirm", "trials"),
    output:
        confirmed="results/{study}/{variant}/confirmed.json",
    log:
        "logs/confirm/{study}.{variant}.log",
    benchmark:
        "benchmarks/confirm/{study}.{variant}.tsv"
    threads: 1
    resources:
        **rule_resources("confirm"),
    params:
        job=job_params("confirm"),
        trials=trial_runs,
    script:
        "../scripts/confirm.py"
