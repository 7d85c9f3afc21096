"""What a transformer looks at and what its layers know, for the variants that a study names.

REQUIRED INPUTS: a dense model, results/<study>/split.npz
OUTPUTS: results/<study>/<variant>/seed<k>/dense/{examine.npz, examine.json}
"""


rule examine:
    """Attention maps, attention distance and linear probes of one dense net."""
    input:
        images=dataset_images,
        card=dataset_card,
        split="results/{study}/split.npz",
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
        gpu=1,
        mem_mb=8000,
        runtime=30,
    params:
        job=examine_job,
    script:
        "../scripts/examine.py"
