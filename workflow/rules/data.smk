"""Datasets are fetched, verified and decoded once; each study splits them once.

REQUIRED INPUTS: none
OUTPUTS: data/<dataset>/{images.npy, labels.npy, card.json},
    data/weights/<network>/{model.safetensors, card.json},
    results/<study>/[splits/seed<k>/]{split.npz, test.npz, split.json}
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
        **rule_resources("download"),
    params:
        job=job_params("download"),
    script:
        "../scripts/download.py"


rule weights:
    """Fetch and verify the pretrained weights of another library's network."""
    output:
        model="data/weights/{weights}/model.safetensors",
        card="data/weights/{weights}/card.json",
    log:
        "logs/weights/{weights}.log",
    benchmark:
        "benchmarks/weights/{weights}.tsv"
    threads: 1
    resources:
        **rule_resources("weights"),
    params:
        job=job_params("weights"),
    script:
        "../scripts/weights.py"


rule split:
    """Split the dataset for one study; the test indices go into a separate file."""
    input:
        images=dataset_file("images.npy"),
        labels=dataset_file("labels.npy"),
        card=dataset_file("card.json"),
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
        **rule_resources("split"),
    params:
        job=job_params("split"),
    script:
        "../scripts/split.py"


use rule split as split_for_seed with:
    output:
        split="results/{study}/splits/seed{seed}/split.npz",
        test="results/{study}/splits/seed{seed}/test.npz",
        summary="results/{study}/splits/seed{seed}/split.json",
    log:
        "logs/split_for_seed/{study}.seed{seed}.log",
    benchmark:
        "benchmarks/split_for_seed/{study}.seed{seed}.tsv"
    params:
        job=job_params("split_for_seed"),
