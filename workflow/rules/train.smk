"""Every run is one job, which goes on from its last saved state.

REQUIRED INPUTS: data/<dataset>/*, results/<study>/split.npz (never test.npz)
OUTPUTS: results/<study>/<variant>/seed<k>/{dense,pretext}/{model.safetensors, model.json,
    history.csv, batches.csv}
"""


rule train:
    """Train one run, from scratch or from a pretext's weights."""
    input:
        images=dataset_images,
        card=dataset_card,
        split="results/{study}/split.npz",
        start=start_weights,
        chosen=chosen_file,
    output:
        model="results/{study}/{variant}/seed{seed}/dense/model.safetensors",
        description="results/{study}/{variant}/seed{seed}/dense/model.json",
        history="results/{study}/{variant}/seed{seed}/dense/history.csv",
        batches="results/{study}/{variant}/seed{seed}/dense/batches.csv",
    log:
        "logs/train/{study}.{variant}.seed{seed}.log",
    benchmark:
        "benchmarks/train/{study}.{variant}.seed{seed}.tsv"
    threads: train_threads
    resources:
        gpu=1,
        cpus_per_task=4,
        mem_mb=16000,
        runtime=240,
    params:
        job=train_job,
        state=train_state,
    script:
        "../scripts/train.py"


use rule train as pretrain with:
    output:
        model="results/{study}/{variant}/seed{seed}/pretext/model.safetensors",
        description="results/{study}/{variant}/seed{seed}/pretext/model.json",
        history="results/{study}/{variant}/seed{seed}/pretext/history.csv",
        batches="results/{study}/{variant}/seed{seed}/pretext/batches.csv",
    log:
        "logs/pretrain/{study}.{variant}.seed{seed}.log",
    benchmark:
        "benchmarks/pretrain/{study}.{variant}.seed{seed}.tsv"
    params:
        job=train_job,
        state=pretrain_state,
