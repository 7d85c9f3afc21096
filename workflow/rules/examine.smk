"""Attention maps and linear probes, for the transformers that a study names.

REQUIRED INPUTS: a dense model, results/<study>/split.npz
OUTPUTS: results/<study>/<variant>/seed<k>/dense/{examine.npz, examine.json}
"""


rule examine:
    """Attention maps, attention distance and linear probes of one dense net."""
    input:
        images=dataset_file("images.npy"),
        card=dataset_file("card.json"),
        split=split_file("split.npz"),
        model="results/{study}/{variant}/seed{seed}/dense/model.safetensors",
        description="results/{study}/{variant}/seed{seed}/dense/model.json",
    output:
        arrays="results/{study}/{variant}/seed{seed}/dense/examine.npz",
        figures="results/{study}/{variant}/seed{seed}/dense/examine.json",
    log:
        "logs/examine/{study}.{variant}.seed{seed}.log",
    benchmark:
        "benchmarks/examine/{study}.{variant}.seed{seed}.tsv"
    threads: 1
    resources:
        **rule_resources("examine"),
    params:
        job=job_params("examine"),
    script:
        "../scripts/examine.py"
