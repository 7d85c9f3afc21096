"""Datasets are fetched, verified and decoded once; each study splits them once.

REQUIRED INPUTS: none
OUTPUTS: data/<dataset>/{images.npy, labels.npy, card.json},
    results/<study>/{split.npz, test.npz, split.json}
"""


rule download:
    """Fetch, verify and decode one dataset."""
    output:
        images="data/{dataset}/images.npy",
        labels="data/{dataset}/labels.npy",
        card="data/{dataset}/card.json",
    log:
        "logs/download/{dataset}.log",
    benchmark:
        "benchmarks/download/{dataset}.tsv"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        job=download_job,
    script:
        "../scripts/download.py"


rule split:
    """Split the dataset for one study; the test indices go into a file of their own."""
    input:
        images=dataset_images,
        labels=dataset_labels,
        card=dataset_card,
    output:
        split="results/{study}/split.npz",
        test="results/{study}/test.npz",
        summary="results/{study}/split.json",
    log:
        "logs/split/{study}.log",
    benchmark:
        "benchmarks/split/{study}.tsv"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        job=split_job,
    script:
        "../scripts/split.py"
