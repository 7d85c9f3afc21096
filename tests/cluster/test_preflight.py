"""The preflight, with commands that stand for SLURM's and for one cluster each."""

import json
from pathlib import Path

import pytest
import yaml

from helpers.workflow_run import ROOT
from labmill.cluster import preflight
from labmill.core.errors import LabmillError

SINFO = """\
debug*|up|30:00|64000|32|(null)
long|up|3-00:00:00|64000|32|(null)
gpu|up|1-00:00:00|500000|64|gpu:rtx-3090:8
"""
PROBE = {
    **{"host": "n1", "internet": False, "renames": True, "sees_lock": True},
    **{"visible": "0", "driver": "550", "built_for": "12.4", "cuda": True},
}


class Cluster:
    """Answers in place of SLURM's commands."""

    def __init__(self) -> None:
        self.sinfo, self.refused = SINFO, ()
        self.assoc, self.qos = "", ""
        self.asked: list[str] = []

    def run(self, *command: str, timeout: float = 30) -> tuple[int, str]:
        text = " ".join(command)
        self.asked.append(text)
        if text.startswith("sinfo"):
            return 0, self.sinfo
        if text.startswith("sbatch"):
            bad = any(word in text.split() for word in self.refused)
            return (1, "refused") if bad else (0, "would start")
        if text.startswith("srun"):
            Path(command[-1], "renamed").write_text("node")
            return 0, "labmill-probe " + json.dumps(PROBE)
        if text.startswith("scontrol"):
            kind = "slurmdbd" if self.assoc else "none"
            return 0, f"AccountingStorageType = accounting_storage/{kind}"
        answers = {"show user": "lab", "show assoc": self.assoc, "show qos": self.qos}
        return next(((0, a) for key, a in answers.items() if key in text), (1, ""))


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    made = Cluster()
    monkeypatch.chdir(tmp_path)
    for module in (preflight, preflight.slurm_queries):
        monkeypatch.setattr(module, "run", made.run)
    return made


def examine() -> dict:
    """The site file that the doctor writes."""
    path = Path("site.yaml")
    preflight.inspect_cluster(path)
    return yaml.safe_load(path.read_text())["site"]


def test_the_cluster_s_limits_become_the_site_s(cluster, capsys):
    site = examine()
    assert site["partition"] == "gpu" and site["gpus"] == "gres"
    assert site["account"] is None and "gpu_type" not in site
    # The default partition without GPUs ends jobs after 30 minutes.
    assert site["cpu_partition"] == "long"
    assert site["max_minutes"] == 1440 and site["max_mem_mb"] == 500000
    assert "no probe" not in capsys.readouterr().out


def test_a_cpu_partition_that_refuses_our_jobs_is_not_taken(cluster):
    cluster.refused = ("--partition=long",)
    site = examine()
    assert "cpu_partition" not in site


def test_attempts_of_the_preflight_are_the_profile_s():
    profile = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
    assert profile["retries"] + 1 == preflight.ATTEMPTS


@pytest.mark.parametrize(
    ("refused", "asked"),
    [
        ((), {"gpus": "gres"}),
        (("--gres=gpu:1",), {"gpus": "gres", "gpu_type": "rtx-3090"}),
        (("--gres=gpu:1", "--gres=gpu:rtx-3090:1"), {"gpus": "gpus"}),
        (
            ("--gres=gpu:1", "--gres=gpu:rtx-3090:1", "--gpus=1"),
            {"gpus": "gpus", "gpu_type": "rtx-3090"},
        ),
    ],
)
def test_the_first_way_to_ask_for_a_gpu_that_sbatch_takes(cluster, refused, asked):
    cluster.refused = refused
    site = examine()
    assert {key: site[key] for key in ("gpus", "gpu_type") if key in site} == asked


def test_limits_of_association_and_qos_count(cluster, capsys):
    cluster.assoc = "20:00:00|day|day,week"
    cluster.qos = "normal||\nday|10:00:00|cpu=8\nweek|7-00:00:00|"
    site = examine()
    assert site["account"] == "lab" and site["max_minutes"] == 600
    assert (
        "QOS day, at most cpu=8 a job; you may use day, week" in capsys.readouterr().out
    )
    Path("site.yaml").write_text("site: {qos: week}")
    assert examine()["max_minutes"] == 1200


def test_what_stands_in_the_file_stays_and_is_tried(cluster):
    mine = {"qos": "short", "constraint": "a100", "modules": ["cuda"], "gpus": "gpus"}
    mine |= {"max_minutes": 100, "local": ["download", "report"]}
    Path("site.yaml").write_text(yaml.safe_dump({"site": mine | {"partition": None}}))
    site = examine()
    assert {key: site[key] for key in mine} == mine and site["partition"] == "gpu"
    tried = [text for text in cluster.asked if text.startswith("sbatch")]
    assert all("--qos=short" in text for text in tried)
    assert "--constraint=a100" in tried[0] and "--gpus=1" in tried[0]
    text = Path("site.yaml").read_text()
    assert "max_minutes: 100  # kept; found: limit of gpu (1440)" in text
    preflight.inspect_cluster(Path("site.yaml"))
    assert yaml.safe_load(Path("site.yaml").read_text())["site"] == site


def test_a_wrong_site_file_is_named_and_kept(cluster):
    Path("site.yaml").write_text("site: {partion: gpu}")
    with pytest.raises(LabmillError, match="no key 'partion'"):
        preflight.inspect_cluster(Path("site.yaml"))
    assert Path("site.yaml").read_text() == "site: {partion: gpu}"


def test_a_cluster_without_gpus_gets_a_site_file(cluster):
    cluster.sinfo = "all*|up|1-00:00:00|64000|32|(null)\n"
    site = examine()
    assert site["partition"] == "all" and site["gpus"] == "none"
    assert [text for text in cluster.asked if text.startswith("sbatch --test-only")]
