"""The plan's list of jobs is the workflow's: same rules, inputs and outputs."""

import json
import re
from pathlib import Path

import pytest
import yaml

from helpers.workflow_run import ROOT, TINY, Mill
from labmill.core.fingerprint import canonical
from labmill.plan.checkpoints import all_unfinished
from labmill.plan.outputs import rounds_made
from labmill.plan.plan import Plan
from labmill.plan.search_rounds import upper_bound
from labmill.study.check_references import RESERVED

EVERYTHING = TINY | {
    "seeds": [0],
    "variants": {
        "vit": {},
        "cnn": {
            "model": {
                "name": "cnn",
                "layers": ["conv 4 bn", "conv 4", "pool", "flatten"],
            }
        },
        "turned": {"start": {"pretext": "rotated"}},
        "best": {"chosen": {"search": "rates"}},
    },
    "pretexts": {"rotated": {"task": "rotation", "images": "unlabelled"}},
    "data": TINY["data"] | {"unlabelled": 0.3},
    "search": {
        "rates": {
            "variant": "vit",
            "matrix": {"training.learning_rate": [0.001, 0.002]},
            "seeds": [0],
        }
    },
    "edits": {"variants": ["cnn"], "trials": 1, "epochs": 1, "confirm": 1},
    "pruning": {
        "prune": TINY["pruning"]["prune"] | {"controls": ["scratch", "longer"]}
    },
    "examine": {"variants": ["vit"]},
    "represent": {"variants": ["vit"]},
    "influence": {"variants": ["cnn"], "criteria": ["squares", "random"]},
    "formulate": {"variants": ["cnn"], "images": 40, "repeats": 1},
}


@pytest.fixture
def everything(mill: Mill, monkeypatch: pytest.MonkeyPatch) -> Plan:
    monkeypatch.chdir(mill.directory)
    return Plan(mill.write(EVERYTHING, "everything"))


def test_the_list_holds_every_rule_once(everything: Plan):
    jobs = list(everything.jobs(all_unfinished))
    rules = {job.rule for job in jobs}
    assert rules == {
        *("download", "split", "train", "pretrain", "prune", "control", "evaluate"),
        *("measure", "examine", "represent", "influence", "formulate", "select"),
        *("propose", "confirm", "summarize", "report"),
    }
    assert len({(job.rule, *job.wildcards.items()) for job in jobs}) == len(jobs)
    made = [path for job in jobs for path in job.outputs.values()]
    assert len(set(made)) == len(made)


def test_inputs_and_outputs_are_the_rules_own(mill: Mill, everything: Plan):
    """Snakemake's dry run and the list name the same files for the same rules."""
    done = mill.run("results/everything/report.html", "-n")
    assert done.returncode == 0, done.stdout
    found = {}
    blocks = re.split(r"\n(?=(?:local)?(?:rule|checkpoint) \w+:\n)", done.stdout)
    for block in blocks[1:]:
        rule = re.match(r"(?:local)?(?:rule|checkpoint) (\w+):", block)[1]
        files = {
            key: set(text.split(", "))
            for key, text in re.findall(r"^    (input|output): (.*)$", block, re.M)
        }
        found[rule, frozenset(files["output"])] = files.get("input", set())
    for job in everything.jobs(all_unfinished):
        outputs = frozenset(job.outputs.values())
        if job.rule == "summarize":
            continue  # waits for the pruning loop's checkpoints
        # A choice and a loop's end are known later: what depends on them is not listed.
        if (job.rule, outputs) not in found:
            assert "prune_" in str(outputs), (job.rule, outputs)
            continue
        inputs = set()
        for value in job.inputs.values():
            inputs |= {value} if isinstance(value, str) else set(value)
        assert found[job.rule, outputs] == inputs, job.rule


def test_a_choice_waits_for_the_run_that_it_may_be(everything: Plan):
    """USERS A6: the job copies that run instead of training it again."""
    inputs = {
        (job.wildcards["variant"], job.wildcards["seed"]): job.inputs["same"]
        for job in everything.jobs()
        if job.rule == "train"
    }
    base = "results/everything/vit/seed0/dense/model.json"
    assert inputs.pop(("best", "0")) == base
    assert not any(inputs.values())


def test_params_are_json_with_every_consumed_job(everything: Plan):
    jobs = {job.job.fingerprint for job in everything.jobs()}
    for job in everything.jobs():
        record = json.loads(job.job.params)
        assert record["kind"] == job.rule
        if job.rule in ("evaluate", "measure", "split", "propose"):
            assert set(record["consumes"].values()) <= jobs


def test_no_file_of_labmill_imports_itself_in_a_circle():
    """Imports for type checking and inside functions count (plan and workflow)."""
    import grimp

    graph = grimp.build_graph("labmill", exclude_type_checking_imports=False)
    for package in ("plan", "workflow", "cluster"):
        for module in sorted(graph.find_descendants(f"labmill.{package}")):
            for imported in graph.find_modules_directly_imported_by(module):
                assert not graph.chain_exists(importer=imported, imported=module)


def test_snakemakes_version_is_bounded_from_both_sides():
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    assert re.search(r'"snakemake>=9\.27,<9\.28"', text)


@pytest.mark.slow
def test_list_changes_agrees_with_a_dry_run(finished: Mill):
    target = "results/tiny/report.html"
    done = finished.run(target, "--list-changes", "params")
    assert "results/" not in done.stdout, done.stdout
    study = TINY | {"variants": TINY["variants"] | {"vit": {"training": {"ema": 0.9}}}}
    finished.write(study)
    listed = finished.run(target, "--list-changes", "params").stdout
    assert "results/tiny/vit/seed0/dense/model.safetensors" in listed
    assert "results/tiny/cnn/seed0/dense/model.safetensors" not in listed


ROUNDS = {k: v for k, v in TINY.items() if k != "pruning"} | {
    "seeds": {"start": 3, "most": 8, "until": "decided"}
}


def test_only_undecided_variants_get_more_seeds(mill: Mill):
    plan = Plan(mill.write(ROUNDS, "rounds"))
    assert plan.study.rounds and plan.study.rounds.looks == (3, 5, 8)

    def trained(undecided: dict[int, list[str]]) -> dict[str, int]:
        def records(rule, at):
            return {"undecided": undecided.get(int(at["round"]), ())}

        jobs = [job for job in plan.jobs(records) if job.rule == "train"]
        rounds = [job for job in plan.jobs(records) if job.rule == "decide"]
        assert len(rounds) == len(rounds_made(plan, records))
        names = [job.wildcards["variant"] for job in jobs]
        return {name: names.count(name) for name in ("vit", "cnn")} | {
            "rounds": len(rounds)
        }

    assert trained({}) == {"vit": 3, "cnn": 3, "rounds": 1}
    assert trained({1: ["vit"]}) == {"vit": 5, "cnn": 3, "rounds": 2}
    both = {1: ["vit"], 2: ["cnn"]}
    assert trained(both) == {"vit": 5, "cnn": 8, "rounds": 2}
    jobs = [job for job in plan.jobs(all_unfinished) if job.rule == "train"]
    assert len(jobs) == 16
    second = plan.planned_job(
        "decide", {"round": "2"}, lambda rule, at: {"undecided": ["vit"]}
    )
    assert sum("vit/" in path for path in second.inputs["files"]) == 30
    assert not [path for path in second.inputs["files"] if "cnn/seed3" in path]


@pytest.mark.parametrize(
    "path", sorted((ROOT / "studies").glob("*.yaml")), ids=lambda p: p.stem
)
def test_settings_of_jobs_are_plain_json_values(path: Path):
    """Else a plan reports a change from [] to [] for a job that is up to date."""
    plan = Plan(path, "laptop")
    for planned in plan.jobs(upper_bound(plan)):
        settings = planned.job.settings
        assert json.loads(canonical(settings)) == settings, planned.outputs


def test_folders_of_labmill_are_no_names_of_variants(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(TINY))
    plan = Plan(path)
    made = {
        Path(output).relative_to(plan.results).parts[0]
        for job in plan.jobs()
        if job.rule in ("split", "summarize", "report")
        for output in job.outputs.values()
    }
    assert {"figures", "report.html"} < made
    assert {name for name in made if "." not in name} <= set(RESERVED)
