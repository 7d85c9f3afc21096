"""Rounds of seeds: after each, only variants of undecided questions get more.

REQUIRED INPUTS: predictions, metrics, history and description of every run so far
OUTPUTS: results/<study>/round_<k>.json
"""


checkpoint decide:
    """Test the questions, and list the variants of those that are undecided."""
    input:
        files=round_files,
    output:
        record="results/{study}/round_{round}.json",
    log:
        "logs/decide/{study}.round{round}.log",
    benchmark:
        "benchmarks/decide/{study}.round{round}.tsv"
    threads: 1
    resources:
        **rule_resources("decide"),
    params:
        job=job_params("decide"),
        index=round_runs,
    script:
        "../scripts/decide.py"
