"""A run that is killed goes on to the bits of the run that never was."""

import errno
import fcntl
import json
import os
import random
import signal
from pathlib import Path

import pytest
import torch

from helpers.training_runs import (
    IMAGE_MODELS,
    NEVER,
    RICH,
    STEPS,
    bare,
    child,
    equal,
    fitted,
    network,
)
from labmill.core.errors import LabmillError
from labmill.training import resume, trainer

EACH_STEP, EACH_EPOCH = (0.0, 0.0), (0.0, 1e9)
KILLS = 3  # of each model


def result(folder: Path) -> tuple[bytes, list, list]:
    """Weights, history and batches that a finished run left, without times."""
    record = json.loads((folder / "done.json").read_text())
    weights = (folder / "done.safetensors").read_bytes()
    return weights, bare(record["history"]), record["batches"]


@pytest.mark.parametrize("name", IMAGE_MODELS)
def test_killed_at_random_steps_ends_with_the_same_bits(name, tmp_path):
    chance = random.Random(name)
    assert child(tmp_path / "whole", RICH, name=name) == 0
    for at in sorted(chance.sample(range(STEPS), KILLS)):
        often = chance.choice([EACH_STEP, EACH_STEP, EACH_EPOCH, NEVER])
        code = child(tmp_path / "killed", RICH, name=name, at=at, often=often)
        assert code == -signal.SIGKILL
    assert child(tmp_path / "killed", RICH, name=name) == 0
    assert result(tmp_path / "killed") == result(tmp_path / "whole")


@pytest.mark.parametrize(
    "more",
    [
        {"accumulate": 3},
        {"lookahead": {"every": 3, "share": 0.4}, "ema": None},
        {"schedule": {"kind": "cosine_restarts", "restart_epochs": 1}},
        {"augmentation": {"flip": "alternate"}},
    ],
    ids=str,
)
def test_every_way_of_training_resumes(more, tmp_path):
    settings = RICH | more
    assert child(tmp_path / "whole", settings) == 0
    for at in (2, 7):
        assert child(tmp_path / "killed", settings, at=at, often=EACH_STEP) == -9
    assert child(tmp_path / "killed", settings) == 0
    assert result(tmp_path / "killed") == result(tmp_path / "whole")


def test_enough_kills():
    assert len(IMAGE_MODELS) * KILLS >= 20


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_asked_to_stop_it_saves_and_asks_to_be_run_again(number, tmp_path):
    assert child(tmp_path / "whole", RICH) == 0
    assert child(tmp_path / "asked", RICH, at=6, number=number) == 75
    assert (tmp_path / "asked/state.safetensors").exists()
    outcome = fitted(tmp_path / "asked", RICH)
    assert outcome.facts.resumed_at == [[1, 3]]
    assert result(tmp_path / "asked") == result(tmp_path / "whole")


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty"])
def test_a_damaged_state_falls_back_to_the_one_before(damage, tmp_path, caplog):
    assert child(tmp_path / "whole", RICH) == 0
    folder = tmp_path / "hurt"
    child(folder, RICH, at=7, often=EACH_STEP)
    newest = folder / "state.safetensors"
    content = bytearray(newest.read_bytes())
    content[len(content) * 3 // 4] ^= 1
    lengths = {"truncated": len(content) // 2, "flipped": len(content), "empty": 0}
    newest.write_bytes(content[: lengths[damage]])
    outcome = fitted(folder, RICH)
    assert outcome.facts.resumed_at == [[1, 2]]
    assert "state is damaged, falling back" in caplog.text
    assert result(folder) == result(tmp_path / "whole")


@pytest.mark.slow
def test_a_compiled_run_goes_on_to_the_same_bits_too(tmp_path):
    settings = {**RICH, "compile": "step"}
    assert fitted(tmp_path / "whole", settings).facts.compile == "step"
    code = child(tmp_path / "asked", settings, at=6, number=signal.SIGTERM)
    assert code == 75
    assert fitted(tmp_path / "asked", settings).facts.resumed_at == [[1, 3]]
    assert result(tmp_path / "asked") == result(tmp_path / "whole")


def test_asked_to_stop_in_the_last_step_of_an_epoch(tmp_path):
    assert child(tmp_path / "whole", RICH) == 0
    assert child(tmp_path / "asked", RICH, at=7, number=signal.SIGTERM) == 75
    assert fitted(tmp_path / "asked", RICH).facts.resumed_at == [[1, 4]]
    assert result(tmp_path / "asked") == result(tmp_path / "whole")


def test_without_any_whole_state_it_starts_over(tmp_path):
    assert child(tmp_path / "whole", RICH) == 0
    folder = tmp_path / "hurt"
    child(folder, RICH, at=7, often=EACH_STEP)
    for path in folder.glob("state*.safetensors"):
        path.write_bytes(path.read_bytes()[:100])
    assert fitted(folder, RICH).facts.resumed_at == []
    assert result(folder) == result(tmp_path / "whole")


def test_killed_between_the_two_renames_of_a_save(tmp_path, monkeypatch):
    folder = tmp_path / "cut"
    child(folder, RICH, at=7, often=EACH_STEP)
    (folder / "state.safetensors").replace(folder / "state.previous.safetensors")
    (folder / "state.next.safetensors").write_bytes(b"half a state")
    assert fitted(folder, RICH).facts.resumed_at == [[1, 3]]


def test_a_state_of_other_settings_is_not_used(tmp_path, caplog):
    child(tmp_path, RICH, at=7, often=EACH_STEP)
    outcome = fitted(tmp_path, {**RICH, "learning_rate": 0.02})
    assert "of other settings" in caplog.text
    assert outcome.facts.resumed_at == []


def test_a_finished_run_is_restored_without_training(tmp_path, monkeypatch):
    model = network()
    first = fitted(tmp_path, RICH, model=model)
    monkeypatch.setattr(trainer.Trainer, "run", lambda *_: pytest.fail("trained again"))
    again = network()
    second = fitted(tmp_path, RICH, model=again)
    assert equal(model.state_dict(), again.state_dict())
    assert (second.status, second.history, second.batches, second.facts) == (
        first.status,
        first.history,
        first.batches,
        first.facts,
    )


def test_a_damaged_record_of_a_finished_run_is_not_believed(tmp_path, caplog):
    fitted(tmp_path, RICH)
    before = result(tmp_path)
    weights = tmp_path / "done.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"abcd")
    fitted(tmp_path, RICH)
    assert "record is damaged" in caplog.text
    assert result(tmp_path) == before


def test_a_finished_run_leaves_no_state_behind(tmp_path):
    child(tmp_path, RICH, at=7, often=EACH_STEP)
    fitted(tmp_path, RICH)
    names = {path.name for path in tmp_path.iterdir()} - {"lock"}
    assert names == {"done.safetensors", "done.json"}


def test_a_second_process_waits_and_then_uses_the_result(tmp_path):
    from helpers.training_runs import CONTEXT, doomed

    jobs = [
        CONTEXT.Process(
            target=doomed, args=(str(tmp_path), RICH, "cnn", None, 9, NEVER)
        )
        for _ in range(2)
    ]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(60)
    assert [job.exitcode for job in jobs] == [0, 0]
    record = json.loads((tmp_path / "done.json").read_text())
    assert record["facts"]["resumed_at"] == []


def test_asked_to_stop_while_waiting(tmp_path):
    store, stop = resume.Store(tmp_path), resume.Stop()
    with store.lease(resume.Stop()):
        stop.requested = True
        with pytest.raises(SystemExit) as error, resume.Store(tmp_path).lease(stop):
            pass
    assert error.value.code == 75


def without_locks(*_: object) -> None:
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))


def test_a_file_system_without_locks_trains(tmp_path, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", without_locks)
    with resume.Store(tmp_path).lease(resume.Stop()):
        pass


def test_a_state_that_cannot_be_written_is_one_message(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(LabmillError, match="cannot be written"),
        resume.Store(tmp_path / "file" / "state").lease(resume.Stop()),
    ):
        pass


def test_saving_is_rare_when_epochs_are_short(tmp_path, monkeypatch):
    saves = []
    monkeypatch.setattr(
        trainer.Trainer, "save", lambda self, **_: saves.append(self.state.epoch)
    )
    fitted(tmp_path / "a", RICH)
    assert saves == []
    monkeypatch.setattr(trainer, "SAVE_AFTER", 0.0)
    fitted(tmp_path / "b", RICH)
    assert saves == [1, 2]


def test_a_run_that_diverges_keeps_the_last_finite_epoch_after_a_kill(tmp_path):
    settings = {**RICH, "early_stopping": None, "gradient_clip": None, "ema": None}
    settings |= {"optimizer": "sgd", "learning_rate": 1e9, "epochs": 4}
    settings |= {"schedule": {"kind": "one_cycle", "warmup_epochs": 4.0}}
    assert child(tmp_path / "whole", settings) == 0
    assert child(tmp_path / "killed", settings, at=3, often=EACH_STEP) == -9
    assert child(tmp_path / "killed", settings) == 0
    weights, history, _ = result(tmp_path / "whole")
    record = json.loads((tmp_path / "whole/done.json").read_text())
    assert record["status"] == "diverged"
    killed = result(tmp_path / "killed")
    assert (killed[0], str(killed[1])) == (weights, str(history))
    assert all(
        tensor.isfinite().all()
        for tensor in resume.Store(tmp_path / "whole").finished()[0].values()
        if torch.is_floating_point(tensor)
    )
