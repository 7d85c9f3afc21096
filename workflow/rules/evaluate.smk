"""The only stage that opens the sealed test set; each opening is written down.

REQUIRED INPUTS: a stage's model, results/<study>/{split.npz, test.npz, split.json}
OUTPUTS: results/<study>/<variant>/seed<k>/<stage>/{predictions.npz, metrics.json}
"""


rule evaluate:
    """Predict validation and test images and score the predictions."""
    input:
        images=dataset_images,
        card=dataset_card,
        split="results/{study}/split.npz",
        test="results/{study}/test.npz",
        summary="results/{study}/split.json",
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
        gpu=1,
        mem_mb=8000,
        runtime=30,
    params:
        job=evaluate_job,
        openings="results/{study}/test_openings.jsonl",
    script:
        "../scripts/evaluate.py"
