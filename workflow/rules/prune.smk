"""A prune loop: step k removes units from the model of step k-1 and fine-tunes it.

Where the loop's end depends on results it is a checkpoint that decides; each step is a
job of its own that resumes.

REQUIRED INPUTS: the previous stage's model, results/<study>/split.npz
OUTPUTS: results/<study>/<variant>/seed<k>/<loop>_<step>/{model.safetensors, model.json,
    history.csv, prune.json}; <loop>_<control>/ the same without prune.json
"""


checkpoint prune:
    """Remove, measure, fine-tune, measure: one step."""
    input:
        images=dataset_images,
        card=dataset_card,
        split="results/{study}/split.npz",
        model=previous_model,
        description=previous_description,
        before=previous_record,
        chosen=chosen_file,
    output:
        model="results/{study}/{variant}/seed{seed}/{loop}_{step}/model.safetensors",
        description="results/{study}/{variant}/seed{seed}/{loop}_{step}/model.json",
        history="results/{study}/{variant}/seed{seed}/{loop}_{step}/history.csv",
        record="results/{study}/{variant}/seed{seed}/{loop}_{step}/prune.json",
    log:
        "logs/prune/{study}.{variant}.seed{seed}.{loop}_{step}.log",
    benchmark:
        "benchmarks/prune/{study}.{variant}.seed{seed}.{loop}_{step}.tsv"
    threads: train_threads
    resources:
        gpu=1,
        cpus_per_task=4,
        mem_mb=16000,
        runtime=120,
    params:
        job=prune_job,
        state=prune_state,
    script:
        "../scripts/prune.py"


rule control:
    """Train what a loop is held against: its widths anew, or the unpruned net longer."""
    input:
        images=dataset_images,
        card=dataset_card,
        split="results/{study}/split.npz",
        model="results/{study}/{variant}/seed{seed}/dense/model.safetensors",
        description="results/{study}/{variant}/seed{seed}/dense/model.json",
        steps=pruned_steps,
        chosen=chosen_file,
    output:
        model="results/{study}/{variant}/seed{seed}/{loop}_{control}/model.safetensors",
        description="results/{study}/{variant}/seed{seed}/{loop}_{control}/model.json",
        history="results/{study}/{variant}/seed{seed}/{loop}_{control}/history.csv",
    log:
        "logs/control/{study}.{variant}.seed{seed}.{loop}_{control}.log",
    benchmark:
        "benchmarks/control/{study}.{variant}.seed{seed}.{loop}_{control}.tsv"
    threads: train_threads
    resources:
        gpu=1,
        cpus_per_task=4,
        mem_mb=16000,
        runtime=240,
    params:
        job=control_job,
        state=control_state,
    script:
        "../scripts/control.py"
