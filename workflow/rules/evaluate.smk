"""The only stage that opens the sealed test set; each opening is written down.

REQUIRED INPUTS: a stage's model, results/<study>/{split.npz, test.npz, split.json}
OUTPUTS: results/<study>/<variant>/seed<k>/<stage>/{predictions.npz, metrics.json}
"""


rule evaluate:
    """Predict validation and test images and score the predictions."""
    input:
        images=dataset_file("images.npy"),
        card=dataset_file("card.json"),
        split=split_file("split.npz"),
        test=split_file("test.npz"),
        summary=split_file("split.json"),
        model="results/{study}/{variant}/seed{seed}/{stage}/model.safetensors",
        description="results/{study}/{variant}/seed{seed}/{stage}/model.json",
    output:
        predictions="results/{study}/{variant}/seed{seed}/{stage}/predictions.npz",
        metrics="results/{study}/{variant}/seed{seed}/{stage}/metrics.json",
    log:
        "logs/evaluate/{study}.{variant}.seed{seed}.{stage}.log",
    benchmark:
        "benchmarks/evaluate/{study}.{variant}.seed{seed}.{stage}.tsv"
    threads: 1
    resources:
        **rule_resources("evaluate"),
    params:
        job=job_params("evaluate"),
        openings="results/{study}/test_openings.jsonl",
    script:
        "../scripts/evaluate.py"
