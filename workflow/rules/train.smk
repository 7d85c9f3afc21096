"""Every run is one job, which resumes from its last saved state.

REQUIRED INPUTS: data/<dataset>/*, results/<study>/split.npz (never test.npz)
OUTPUTS: results/<study>/<variant>/seed<k>/{dense,pretext,epochs<n>}/{model.safetensors,
    model.json, history.csv, batches.csv}; state.safetensors of a run that a search stopped
"""


rule train:
    """Train one run, from scratch or from a pretext's weights."""
    input:
        images=dataset_file("images.npy"),
        card=dataset_file("card.json"),
        split=split_file("split.npz"),
        start=job_input("train", "start"),
        weights=job_input("train", "weights"),
        chosen=job_input("train", "chosen"),
        paused=job_input("train", "paused"),
        same=job_input("train", "same"),
    output:
        model="results/{study}/{variant}/seed{seed}/dense/model.safetensors",
        description="results/{study}/{variant}/seed{seed}/dense/model.json",
        history="results/{study}/{variant}/seed{seed}/dense/history.csv",
        batches="results/{study}/{variant}/seed{seed}/dense/batches.csv",
    log:
        "logs/train/{study}.{variant}.seed{seed}.log",
    benchmark:
        "benchmarks/train/{study}.{variant}.seed{seed}.tsv"
    threads: training_threads
    resources:
        **rule_resources("train"),
    params:
        job=job_params("train"),
        state=job_state("train"),
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
        job=job_params("pretrain"),
        state=job_state("pretrain"),


use rule train as pause with:
    input:
        images=dataset_file("images.npy"),
        card=dataset_file("card.json"),
        split=split_file("split.npz"),
        start=job_input("pause", "start"),
        weights=job_input("pause", "weights"),
        chosen=job_input("pause", "chosen"),
        paused=job_input("pause", "paused"),
    output:
        model="results/{study}/{variant}/seed{seed}/epochs{epochs}/model.safetensors",
        description="results/{study}/{variant}/seed{seed}/epochs{epochs}/model.json",
        history="results/{study}/{variant}/seed{seed}/epochs{epochs}/history.csv",
        batches="results/{study}/{variant}/seed{seed}/epochs{epochs}/batches.csv",
        state="results/{study}/{variant}/seed{seed}/epochs{epochs}/state.safetensors",
    log:
        "logs/pause/{study}.{variant}.seed{seed}.epochs{epochs}.log",
    benchmark:
        "benchmarks/pause/{study}.{variant}.seed{seed}.epochs{epochs}.tsv"
    params:
        job=job_params("pause"),
        state=job_state("pause"),
