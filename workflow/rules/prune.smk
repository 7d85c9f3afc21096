"""A prune loop: step k removes units from the model of step k-1 and fine-tunes it.

Where the loop's end depends on results, a checkpoint decides; each step is one job, which
resumes.

REQUIRED INPUTS: the previous stage's model, results/<study>/split.npz
OUTPUTS: results/<study>/<variant>/seed<k>/<loop>_<step>/{model.safetensors, model.json,
    history.csv, prune.json}; <loop>_<control>/ the same without prune.json
"""


checkpoint prune:
    """Remove, measure, fine-tune, measure: one step."""
    input:
        images=dataset_file("images.npy"),
        card=dataset_file("card.json"),
        split=split_file("split.npz"),
        model=job_input("prune", "model"),
        description=job_input("prune", "description"),
        before=job_input("prune", "before"),
        chosen=job_input("prune", "chosen"),
    output:
        model="results/{study}/{variant}/seed{seed}/{loop}_{step}/model.safetensors",
        description="results/{study}/{variant}/seed{seed}/{loop}_{step}/model.json",
        history="results/{study}/{variant}/seed{seed}/{loop}_{step}/history.csv",
        record="results/{study}/{variant}/seed{seed}/{loop}_{step}/prune.json",
    log:
        "logs/prune/{study}.{variant}.seed{seed}.{loop}_{step}.log",
    benchmark:
        "benchmarks/prune/{study}.{variant}.seed{seed}.{loop}_{step}.tsv"
    threads: training_threads
    resources:
        **rule_resources("prune"),
    params:
        job=job_params("prune"),
        state=job_state("prune"),
    script:
        "../scripts/prune.py"


rule control:
    """Train what a loop is compared with: its widths from scratch, or longer unpruned."""
    input:
        images=dataset_file("images.npy"),
        card=dataset_file("card.json"),
        split=split_file("split.npz"),
        model="results/{study}/{variant}/seed{seed}/dense/model.safetensors",
        description="results/{study}/{variant}/seed{seed}/dense/model.json",
        steps=checkpoint_input("control", "steps"),
        chosen=job_input("control", "chosen"),
    output:
        model="results/{study}/{variant}/seed{seed}/{loop}_{control}/model.safetensors",
        description="results/{study}/{variant}/seed{seed}/{loop}_{control}/model.json",
        history="results/{study}/{variant}/seed{seed}/{loop}_{control}/history.csv",
    log:
        "logs/control/{study}.{variant}.seed{seed}.{loop}_{control}.log",
    benchmark:
        "benchmarks/control/{study}.{variant}.seed{seed}.{loop}_{control}.tsv"
    threads: training_threads
    resources:
        **rule_resources("control"),
    params:
        job=job_params("control"),
        state=job_state("control"),
    script:
        "../scripts/control.py"
