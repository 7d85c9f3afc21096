"""A search's points are ordinary runs; this stage chooses among them.

REQUIRED INPUTS: history.csv and model.json of every point
OUTPUTS: results/<study>/<search>/chosen.json
"""


rule select:
    """Rank the points of one search by validation figures and choose."""
    input:
        points=point_files,
        base=search_base,
    output:
        chosen="results/{study}/{search}/chosen.json",
    log:
        "logs/select/{study}.{search}.log",
    benchmark:
        "benchmarks/select/{study}.{search}.tsv"
    wildcard_constraints:
        search=r"[a-z][a-z0-9_]*",
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        job=select_job,
        points=search_points,
    script:
        "../scripts/select.py"
