"""What the report is told beside the results: author, cluster, jobs behind the numbers."""

from pathlib import Path

import pytest
import yaml

from helpers.workflow_run import TINY
from labmill.cluster.batch_script import batch_lines
from labmill.cluster.rule_resources import RULES
from labmill.core.errors import LabmillError
from labmill.core.provenance import slurm
from labmill.plan.plan import Plan
from labmill.workflow.context import WorkflowContext, read_author


def planned(folder: Path, changes: dict | None = None, **told: object) -> Plan:
    """A plan of the tiny study."""
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(TINY | (changes or {}), sort_keys=False))
    return Plan(path, **told)


def test_config_signs_a_report_where_the_study_does_not(tmp_path: Path):
    given = {"name": "Ada", "course": "DL 1"}
    own = {"author": {"course": "DL 2", "roll_number": "M21"}}
    author = planned(tmp_path, own, author=given).report_settings()["study"]["author"]
    assert author == {"name": "Ada", "course": "DL 2", "roll_number": "M21"}
    smoke = planned(tmp_path, scale="smoke", author=given)
    assert smoke.report_settings()["study"]["author"]["name"] == "Ada"
    keys = [one["key"] for one in smoke.report_settings()["reduced"]]
    assert keys and not any("author" in key for key in keys)


def test_the_author_changes_no_run(tmp_path: Path):
    plain = planned(tmp_path)
    signed = planned(tmp_path, author={"name": "Ada"}, slurm="#SBATCH --mem=1M")
    for job in ("summarize", "report"):
        assert plain.job(job, {}).fingerprint != signed.job(job, {}).fingerprint
    assert plain.consumed() == signed.consumed()


@pytest.mark.parametrize(
    ("author", "words"),
    [
        ({"nme": "Ada"}, ["author", "'nme'", "did you mean 'name'"]),
        ({"name": ["Ada"]}, ["author.name", "text"]),
        ("Ada", ["author", "'Ada'", "mapping"]),
    ],
)
def test_mistakes_in_config_are_named(author: object, words: list[str]):
    with pytest.raises(LabmillError) as caught:
        read_author(author)
    assert all(word in str(caught.value) for word in ("config.yaml", *words))


def test_a_roll_number_may_be_a_number():
    context = WorkflowContext({"author": {"roll_number": 4711, "name": None}})
    assert context.author == {"roll_number": "4711"}
    assert context.slurm.startswith("#SBATCH ")


def test_every_job_behind_the_numbers_reruns_the_summary(tmp_path: Path):
    before = planned(tmp_path).consumed()
    for changes in (
        {"seeds": [0]},
        {"measure": {"batches": [1, 2], "repeats": 3}},
        {"pruning": {"prune": {"variants": ["cnn"], "steps": 2}}},
        {"defaults": TINY["defaults"] | {"training": {"epochs": 3}}},
    ):
        assert planned(tmp_path, changes).consumed() != before, changes
    assert planned(tmp_path, {"title": "Other"}).consumed() == before


def test_batch_lines_say_what_rule_and_site_ask_for():
    site = {"partition": "gpu", "gpu_type": "v100", "modules": ["cuda"]}
    lines = batch_lines({"site": site | {"max_minutes": 90}}).splitlines()
    assert lines[:2] == ["#SBATCH --partition=gpu", "#SBATCH --gres=gpu:v100:1"]
    assert f"#SBATCH --cpus-per-task={RULES['train']['cpus_per_task']}" in lines
    assert "#SBATCH --mem=16000M" in lines and "#SBATCH --time=90" in lines
    assert "#SBATCH --output=logs/slurm/rule_train/%j.log" in lines
    assert lines[-1] == "module load cuda"
    assert "--gres" not in batch_lines({"site": {"gpus": "none"}})


def test_a_job_knows_what_slurm_gave_it():
    assert slurm({"HOME": "/"}) is None
    given = {
        "SLURM_JOB_ID": "7",
        "SLURM_JOB_PARTITION": "gpu",
        "SLURM_CPUS_PER_TASK": "4",
    }
    assert slurm(given) == {"job": "7", "partition": "gpu", "cpus": "4"}
