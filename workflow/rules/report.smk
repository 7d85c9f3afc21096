"""All results of a study become one table, its claims, and the report.

REQUIRED INPUTS: every file of the plan's list of runs (never a glob)
OUTPUTS: results/<study>/{runs.csv, index.json, claims.json, report.md, report.html,
    report.pdf, report.json}, and for those who ask for it results/<study>/mlflow/
"""


rule summarize:
    """Collect the results and compute every claim."""
    input:
        fixed=fixed_files,
        steps=next_steps,
        files=results_files,
    output:
        runs=report(
            "results/{study}/runs.csv",
            category="{study}",
            subcategory="Tables",
            labels={"table": "all runs"},
        ),
        index="results/{study}/index.json",
        claims="results/{study}/claims.json",
    log:
        "logs/summarize/{study}.log",
    benchmark:
        "benchmarks/summarize/{study}.tsv"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=20,
    params:
        job=summarize_job,
        index=results_index,
    script:
        "../scripts/summarize.py"


rule report:
    """Write the report as Markdown, HTML and PDF."""
    input:
        runs="results/{study}/runs.csv",
        index="results/{study}/index.json",
        claims="results/{study}/claims.json",
        split="results/{study}/split.npz",
        summary="results/{study}/split.json",
        images=dataset_images,
        labels=dataset_labels,
        card=dataset_card,
    output:
        markdown="results/{study}/report.md",
        html=report(
            "results/{study}/report.html",
            category="{study}",
            subcategory="Report",
            labels={"format": "HTML"},
        ),
        pdf=report(
            "results/{study}/report.pdf",
            category="{study}",
            subcategory="Report",
            labels={"format": "PDF"},
        ),
        figures=report(
            directory("results/{study}/figures"),
            patterns=["{figure}.svg"],
            category="{study}",
            subcategory="Figures",
            labels={"figure": "{figure}"},
        ),
        record="results/{study}/report.json",
    log:
        "logs/report/{study}.log",
    benchmark:
        "benchmarks/report/{study}.tsv"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        job=report_job,
    script:
        "../scripts/report.py"


rule mlflow:
    """Export all runs as an MLflow store."""
    input:
        index="results/{study}/index.json",
    output:
        store=directory("results/{study}/mlflow"),
    log:
        "logs/mlflow/{study}.log",
    benchmark:
        "benchmarks/mlflow/{study}.tsv"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        job=mlflow_job,
    script:
        "../scripts/mlflow.py"


rule overview:
    """List all studies, the state of their results, and their headlines."""
    output:
        page="results/index.html",
    log:
        "logs/overview/overview.log",
    benchmark:
        "benchmarks/overview/overview.tsv"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        job=overview_job,
    script:
        "../scripts/overview.py"
