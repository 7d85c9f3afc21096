"""The studies lenet_separable and transformer_arithmetic: counts, sequences, claims."""

from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from labmill.core import registry
from labmill.core.errors import LabmillError
from labmill.data.datasets import sequences
from labmill.evaluation.sequences import at_precisions, behaviour, decoded_exactly
from labmill.flops.counter import count
from labmill.plan.plan import Plan
from labmill.profiling.records import CountTable, Measurement
from labmill.profiling.sequences import sequence_costs
from labmill.report.results import StudyResults
from labmill.report.runs import ResultsFolder, Run
from labmill.report.sections.arithmetic import tables as arithmetic
from labmill.report.sections.arithmetic.claims import decoding_claims, speed_claims
from labmill.study.schema import Training
from labmill.training.inputs import TrainingImages, TrainingJob
from labmill.training.records import ModelDescription
from labmill.training.trainer import fit

STUDIES = Path(__file__).parents[2] / "studies"


def models_of(study: str) -> dict[str, nn.Module]:
    """Every variant's network, built as training builds it."""
    plan = Plan(STUDIES / f"{study}.yaml")
    shape = {key: plan.facts[key] for key in ("num_classes", "in_channels")}
    size = plan.facts["image_size"] or plan.study.data.arguments["length"] + 1
    return {
        entry.name: registry.build(
            entry.model.name, **shape, image_size=size, **entry.model.arguments
        )
        for entry in plan.variants
    }


@pytest.fixture(scope="module")
def lenets() -> dict[str, nn.Module]:
    return models_of("lenet_separable")


@pytest.mark.parametrize(
    ("variant", "multiplications", "additions"),
    [
        ("regular", 416_520, 410_002),
        ("regular_recipe", 416_520, 410_002),
        ("separable", 62_144, 54_226),
        ("separable_recipe", 62_144, 54_226),
    ],
)
def test_lenet_counts(lenets, variant, multiplications, additions):
    total = count(lenets[variant], (1, 28, 28), convention="report3").total
    assert (total.multiplications, total.additions) == (multiplications, additions)
    assert total.operations == multiplications + additions


def lenet_results(lenets) -> SimpleNamespace:
    """As much of a study's results as the count table reads."""
    found = {}
    for variant, net in lenets.items():
        if not variant.endswith("recipe"):
            arguments = {"separable": True} if variant == "separable" else {}
            model = {"name": "lenet", "arguments": arguments}
            settings = {"model": model, "training": {}}
            table = count(net, (1, 28, 28), convention="report3").to_dict()
            found[variant] = {
                ModelDescription: SimpleNamespace(
                    provenance=SimpleNamespace(settings=settings)
                ),
                Measurement: SimpleNamespace(
                    operations=CountTable.model_validate(table)
                ),
            }
    return SimpleNamespace(
        variants={variant: variant for variant in found},
        first=lambda variant, kind: found[variant][kind],
        label=str,
    )


def test_the_table_of_the_report(lenets):
    table = arithmetic.layers(lenet_results(lenets))
    assert [row[1:] for row in table.rows] == [
        ["117,600", "112,896", "19,600 + 4,704 = 24,304", "18,816 + 0 = 18,816"],
        ["240,000", "238,400", "15,000 + 9,600 = 24,600", "14,400 + 8,000 = 22,400"],
        ["48,000", "47,880", "400 + 1,920 = 2,320", "384 + 1,800 = 2,184"],
        ["10,080", "9,996", "10,080", "9,996"],
        ["840", "830", "840", "830"],
        ["416,520", "410,002", "62,144", "54,226"],
    ]
    assert table.rows[1][0] == "2: 6×14×14 → 16×10×10"


def test_no_twins_without_a_separable_network(lenets):
    only = {"regular": lenets["regular"]}
    assert arithmetic.layers(lenet_results(only)) is None


# --- sequences -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pool():
    return sequences.decode({}, length=4, train=900, test=100)


def test_sequences_are_what_they_say(pool):
    again = sequences.decode({}, length=4, train=900, test=100)
    other = sequences.decode({}, length=4, train=900, test=100, seed=1)
    assert np.array_equal(pool.images, again.images)
    assert not np.array_equal(pool.images, other.images)
    assert pool.images.shape == (1000, 1, 2, 5) and pool.images.dtype == np.uint8
    source, target = sequences.read_tokens(torch.from_numpy(pool.images) / 255)
    source, target = source.numpy(), target.numpy()
    digits = source[:, 1:]
    assert len(np.unique(digits, axis=0)) == 1000
    assert (digits != digits[:, ::-1]).any(1).all() and digits.max() == 9
    assert (source[:, 0] == 10 + pool.labels).all() and (target[:, -1] == 12).all()
    assert set(pool.labels.tolist()) == {0, 1} and pool.train == 900
    copied, turned = pool.labels == 0, pool.labels == 1
    assert np.array_equal(target[copied, :-1], digits[copied])
    assert np.array_equal(target[turned, :-1], digits[turned, ::-1])


def test_more_sequences_than_there_are():
    with pytest.raises(LabmillError, match="found length 2, train 900, test 100"):
        sequences.decode({}, length=2, train=900, test=100)


class Oracle(nn.Module):
    """Copies what is to be copied, and `fails` to reverse or reverses."""

    def __init__(self, fails: bool):
        super().__init__()
        self.fails = fails
        self.weight = nn.Parameter(torch.zeros(1))

    def answer(self, source):
        digits = source[:, 1:]
        turned = digits if self.fails else digits.flip(1)
        body = torch.where(source[:, :1] == 11, turned, digits)
        return torch.cat((body, torch.full_like(body[:, :1], 12)), 1)

    def forward(self, source, target):
        return 50.0 * nn.functional.one_hot(self.answer(source), 13)

    def greedy(self, source, length):
        return self.answer(source)


def test_what_a_network_does_is_seen(pool):
    images, labels = pool.images[:40], pool.labels[:40]
    for fails in (False, True):
        found = behaviour(Oracle(fails), images)
        assert np.isfinite(found).all()
        np.testing.assert_allclose(np.exp(found).sum(1), 1, rtol=1e-5)
        assert found.argmax(1).tolist() == (0 * labels if fails else labels).tolist()
        exact = decoded_exactly(Oracle(fails), images)
        assert exact.model_dump() == {
            "n": 40,
            "exact": 0.5 if fails else 1.0,
            "copying": 1.0,
            "reversal": 0.0 if fails else 1.0,
        }


def test_an_untrained_network_does_neither(pool):
    torch.manual_seed(0)
    net = registry.build("transformer", num_classes=13, image_size=5, dim=16, heads=2)
    assert (behaviour(net, pool.images[:20]).argmax(1) == 2).all()
    before = {name: t.clone() for name, t in net.state_dict().items()}
    found = at_precisions(net, {"test": pool.images[:20]})
    assert list(found) == ["float32", "bfloat16", "float16"]
    assert all(torch.equal(before[name], t) for name, t in net.state_dict().items())


def test_the_loop_learns_sequences(pool, tmp_path):
    torch.manual_seed(0)
    net = registry.build(
        "transformer", num_classes=13, image_size=5, dim=32, heads=2, ffn=64
    )
    indices = np.arange(900)
    outcome = fit(
        net,
        TrainingJob(
            training=Training(epochs=4, batch_size=30, learning_rate=3e-3),
            data=TrainingImages(pool.images, pool.labels, indices[:800], indices[800:]),
            seed=0,
            normalisation=([0.0], [1.0]),
            state=tmp_path / "state",
            channels_last=False,
            device="cpu",
            progress=False,
            task="sequence",
        ),
    )
    first, *_, last = outcome.history
    assert last.validation_loss < 0.8 * first.validation_loss


# --- a transformer's counts ------------------------------------------------------------


@pytest.fixture(scope="module")
def facts():
    (net,) = models_of("transformer_arithmetic").values()
    pool = sequences.decode({}, length=10, train=20, test=4)
    return sequence_costs(net, pool.images)


def test_closed_formulas_are_what_the_counter_saw(facts):
    values = arithmetic.numbers(facts)
    assert values == {"n": 11, "m": 11, "d": 256, "h": 8, "f": 1024, "v": 14}
    for name, block in arithmetic.MODULES.items():
        expected = asdict(arithmetic.evaluated(block, values))
        counted = facts.blocks[name]
        assert all(
            getattr(counted, quantity) == expected[quantity]
            for quantity in arithmetic.SIZES
        )
    for part in ("attention", "mlp"):
        lengths = [found.n for found in facts.lengths]
        for quantity in ("multiplications", "traffic_bytes"):
            assert arithmetic.curve(facts, part, quantity, lengths) == [
                getattr(getattr(found, part), quantity) for found in facts.lengths
            ]
    whole = sum(
        p.numel() for p in models_of("transformer_arithmetic").popitem()[1].parameters()
    )
    assert facts.total.parameters == whole


def sequence_results(facts) -> SimpleNamespace:
    return SimpleNamespace(
        variants={"transformer": "transformer"},
        first=lambda variant, kind: SimpleNamespace(sequence=facts),
    )


def test_the_reports_table_of_formulas(facts):
    results = sequence_results(facts)
    rows, name = {}, ""
    for block, quantity, formula, value in arithmetic.blocks(results).rows:
        name = block or name
        rows[name, quantity] = formula, value
    assert rows["feed-forward", "multiplications"] == ("$2 d f n$", "5,767,168")
    assert rows["layer normalisation", "parameters"] == ("$2 d$", "512")
    assert {block for block, _ in rows} == set(arithmetic.formulas.BLOCKS)
    exact = "of 20 numbers counted in the first blocks equal their formulas exactly"
    assert f"20 {exact}" in arithmetic.agreement(results)
    block = facts.blocks["encoder.0.mlp"]
    wrong = block.model_copy(update={"additions": block.additions + 1})
    changed = facts.model_copy(
        update={"blocks": facts.blocks | {"encoder.0.mlp": wrong}}
    )
    told = arithmetic.agreement(sequence_results(changed))
    assert f"19 {exact}" in told


def test_where_attention_overtakes_by_width(facts):
    table = arithmetic.overtaking(sequence_results(facts))
    row = next(row for row in table.rows if row[0] == 256)
    assert row[1:] == ["497", "494", "never", "129"]


def test_maps_are_of_one_sequence_of_each_kind(facts):
    maps = facts.maps
    assert list(maps) == ["copying", "reversal"]
    for label, found in enumerate(maps.values()):
        assert found.source[0] == 10 + label
        for name in ("encoder", "decoder", "cross"):
            weights = np.asarray(getattr(found, name))
            assert weights.shape == (1, 8, 11, 11)
            np.testing.assert_allclose(weights.sum(-1), 1, atol=2e-3)


# --- what a study may say --------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "data: {dataset: digits}\ndefaults: {model: {name: transformer}}",
            "transformer reads sequences and the dataset has images",
        ),
        (
            "data: {dataset: sequences, normalisation: none}\n"
            "defaults: {model: {name: vit}}",
            "vit reads images and the dataset has sequences; models that fit: transformer",
        ),
        (
            "data: {dataset: sequences}\ndefaults: {model: {name: transformer}}",
            "data.normalisation|sequences has tokens",
        ),
    ],
)
def test_sequences_and_images_do_not_mix(tmp_path, text, told):
    path = tmp_path / "mixed.yaml"
    path.write_text(f"title: Mixed\n{text}\nvariants: {{one: {{}}}}\n")
    with pytest.raises(LabmillError, match=told):
        Plan(path)


# --- claims ----------------------------------------------------------------------------


def row(variant: str, cells: dict) -> Run:
    identity = {"variant": variant, "label": variant, "kind": "variant", "seed": 0}
    record = {"files": {"measure": f"{variant}.json"}}
    made = Run(record, identity | {"stage": "dense", "status": "completed"})
    for name, value in cells.items():
        made.put(name, value, "measure", name)
    return made


def timed(variant: str, macs: int, median: float, spread: float, n: int = 30) -> Run:
    name = "latency_ms_b1"
    ends = {f"{name}_q1": median - spread / 2, f"{name}_q3": median + spread / 2}
    return row(variant, {"macs": macs, name: median, **ends, f"{name}_n": n})


def evidence(*rows: Run, count_table: bool = True) -> StudyResults:
    asked = {"count_table": count_table}
    study: dict = {"measure": asked, "compare": {}, "variants": {}}
    return StudyResults(study, rows, ResultsFolder(Path(), ""))


def test_times_of_two_networks_stand_side_by_side_without_a_verdict():
    rows = timed("many", 400, 2.0, 0.1), timed("few", 60, 1.0, 0.1)
    bad = timed("wrong on purpose", 9000, 9.0, 0.1)
    found = evidence(*rows, bad)
    found.study["lessons"] = {"reference": "", "variants": ["wrong on purpose"]}
    (claim,) = speed_claims(found)
    assert claim["verdict"] is None and claim["test"] is None
    assert (
        "few needs 15\N{NO-BREAK SPACE}% of the multiply-adds of many"
        in claim["statement"]
    )
    assert {one["file"] for one in claim["inputs"]} == {"few.json", "many.json"}


def test_speed_is_claimed_only_where_counts_are_asked_for_and_differ():
    rows = timed("many", 400, 2.0, 0.1), timed("few", 60, 1.0, 0.1)
    assert speed_claims(evidence(*rows, count_table=False)) == []
    assert speed_claims(evidence(rows[0], timed("same", 400, 1.0, 0.1))) == []


def test_exact_sequences_are_told_at_all_precisions():
    shares = {"float32": 0.9985, "bfloat16": 0.997, "float16": 0.9985}
    cells = {f"test_exact_{name}": share for name, share in shares.items()}
    (claim,) = decoding_claims(evidence(row("net", cells | {"test_n": 2000})))
    told = claim["statement"].replace("\N{NO-BREAK SPACE}", " ")
    assert "99.85 % of 2,000 test sequences" in told
    assert "99.70 % in bfloat16 and 99.85 % in float16" in told
    assert decoding_claims(evidence(timed("many", 400, 2.0, 0.1))) == []
