"""All results of a study become one table, its claims, and the report.

REQUIRED INPUTS: every file of the plan's list of runs (never a glob)
OUTPUTS: results/<study>/{runs.csv, index.json, claims.json, report.md, report.html,
    report.pdf, report.docx, report.json, report_latex/}; appendix.pdf of short reports
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
        **rule_resources("summarize"),
    params:
        job=job_params("summarize"),
        index=results_index,
    script:
        "../scripts/summarize.py"


rule report:
    """Write the report as Markdown, HTML, PDF, Word and LaTeX."""
    input:
        runs="results/{study}/runs.csv",
        index="results/{study}/index.json",
        claims="results/{study}/claims.json",
        split="results/{study}/split.npz",
        summary="results/{study}/split.json",
        images=dataset_file("images.npy"),
        labels=dataset_file("labels.npy"),
        card=dataset_file("card.json"),
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
        docx=report(
            "results/{study}/report.docx",
            category="{study}",
            subcategory="Report",
            labels={"format": "Word"},
        ),
        latex=directory("results/{study}/report_latex"),
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
        **rule_resources("report"),
    params:
        job=job_params("report"),
    script:
        "../scripts/report.py"


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
        **rule_resources("overview"),
    params:
        job=job_params("overview"),
    script:
        "../scripts/overview.py"
