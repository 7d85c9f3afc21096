"""Choose among the points of a search, which are ordinary runs.

A checkpoint decides which points each round of a search with a budget trains; a grid has
no rounds.

REQUIRED INPUTS: history.csv and model.json of every point
OUTPUTS: results/<study>/<search>/{chosen.json, round<n>.json, round<n>.journal}
"""


checkpoint round:
    """Propose the points of one round, or let the best of the last one continue."""
    input:
        points=checkpoint_input("round", "points"),
        before=job_input("round", "before"),
        asked=job_input("round", "asked"),
    output:
        record="results/{study}/{search}/round{round}.json",
        journal="results/{study}/{search}/round{round}.journal",
    log:
        "logs/round/{study}.{search}.round{round}.log",
    benchmark:
        "benchmarks/round/{study}.{search}.round{round}.tsv"
    threads: 1
    resources:
        **rule_resources("round"),
    params:
        job=job_params("round"),
        points=point_runs,
    script:
        "../scripts/round.py"


rule select:
    """Rank the points of one search by validation metrics and choose."""
    input:
        points=checkpoint_input("select", "points"),
        rounds=checkpoint_input("select", "rounds"),
        base=job_input("select", "base"),
    output:
        chosen="results/{study}/{search}/chosen.json",
    log:
        "logs/select/{study}.{search}.log",
    benchmark:
        "benchmarks/select/{study}.{search}.tsv"
    threads: 1
    resources:
        **rule_resources("select"),
    params:
        job=job_params("select"),
        points=point_runs,
    script:
        "../scripts/select.py"
