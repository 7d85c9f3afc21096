"""Optional analyses of single networks, for the variants that a study names.

REQUIRED INPUTS: a dense or pretext model, results/<study>/split.npz
OUTPUTS: results/<study>/<variant>/seed<k>/dense/{influence.json, formulate.json},
    results/<study>/<variant>/seed<k>/{dense,pretext}/{represent.npz, represent.json}
"""


rule represent:
    """Features of one net in two dimensions, their neighbours, mixing weights, rotations."""
    input:
        images=dataset_file("images.npy"),
        card=dataset_file("card.json"),
        split=split_file("split.npz"),
        model="results/{study}/{variant}/seed{seed}/{stage}/model.safetensors",
        description="results/{study}/{variant}/seed{seed}/{stage}/model.json",
    output:
        arrays="results/{study}/{variant}/seed{seed}/{stage}/represent.npz",
        figures="results/{study}/{variant}/seed{seed}/{stage}/represent.json",
    log:
        "logs/represent/{study}.{variant}.seed{seed}.{stage}.log",
    benchmark:
        "benchmarks/represent/{study}.{variant}.seed{seed}.{stage}.tsv"
    threads: 1
    resources:
        **rule_resources("represent"),
    params:
        job=job_params("represent"),
    script:
        "../scripts/represent.py"


rule influence:
    """Remove every unit of one dense net alone, and measure what it costs."""
    input:
        images=dataset_file("images.npy"),
        card=dataset_file("card.json"),
        split=split_file("split.npz"),
        model="results/{study}/{variant}/seed{seed}/dense/model.safetensors",
        description="results/{study}/{variant}/seed{seed}/dense/model.json",
    output:
        influence="results/{study}/{variant}/seed{seed}/dense/influence.json",
    log:
        "logs/influence/{study}.{variant}.seed{seed}.log",
    benchmark:
        "benchmarks/influence/{study}.{variant}.seed{seed}.tsv"
    threads: 1
    resources:
        **rule_resources("influence"),
    params:
        job=job_params("influence"),
    script:
        "../scripts/influence.py"


rule formulate:
    """Time one dense net with its layers written as matrix products."""
    input:
        images=dataset_file("images.npy"),
        card=dataset_file("card.json"),
        split=split_file("split.npz"),
        model="results/{study}/{variant}/seed{seed}/dense/model.safetensors",
        description="results/{study}/{variant}/seed{seed}/dense/model.json",
    output:
        times="results/{study}/{variant}/seed{seed}/dense/formulate.json",
    log:
        "logs/formulate/{study}.{variant}.seed{seed}.log",
    benchmark:
        "benchmarks/formulate/{study}.{variant}.seed{seed}.tsv"
    threads: all_cores
    resources:
        **rule_resources("formulate"),
    params:
        job=job_params("formulate"),
    script:
        "../scripts/formulate.py"
