"""What a network costs. The job takes all cores, so that it is timed alone.

REQUIRED INPUTS: a stage's model, results/<study>/split.npz
OUTPUTS: results/<study>/<variant>/seed<k>/<stage>/measure.json
"""


rule measure:
    """Parameters, operations, latency and memory of one stage."""
    input:
        images=dataset_file("images.npy"),
        card=dataset_file("card.json"),
        split=split_file("split.npz"),
        model="results/{study}/{variant}/seed{seed}/{stage}/model.safetensors",
        description="results/{study}/{variant}/seed{seed}/{stage}/model.json",
    output:
        measure="results/{study}/{variant}/seed{seed}/{stage}/measure.json",
    log:
        "logs/measure/{study}.{variant}.seed{seed}.{stage}.log",
    benchmark:
        "benchmarks/measure/{study}.{variant}.seed{seed}.{stage}.tsv"
    threads: all_cores
    resources:
        **rule_resources("measure"),
    params:
        job=job_params("measure"),
        trace="results/{study}/{variant}/seed{seed}/{stage}/trace.json.gz",
    script:
        "../scripts/measure.py"
