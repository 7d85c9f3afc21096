"""Every fault that two reviews found in reports has a test: the list, and the tests it lacked."""

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from helpers.random_studies import RandomStudy
from helpers.report_page import results_of
from helpers.synthetic_results import SEARCH, STUDY, make_results
from labmill.report.number_format import SPACE, signed
from labmill.report.runs import results_folder
from labmill.report.sections.comparisons.claims import make_claims as comparisons
from labmill.report.sections.curves.claims import unfinished
from labmill.report.sections.discussion.claims import errors
from labmill.report.sections.pruning.claims import make_claims as pruning
from labmill.report.sections.published.tables import published
from labmill.report.sections.results.claims import make_claims as ranking
from labmill.report.summarize import summary
from labmill.report.text import all_of, number_of

# Fault → the test that would find it again.
FOUND = {
    "a difference in macro F1 that accuracy does not show": "test_metrics_that_disagree_are_told",
    "'no difference' where three seeds cannot decide": "test_equal_variants_are_not_told_apart",
    "0 of the 1 other points": "test_points_of_a_search_are_compared_by_their_difference",
    "two standard errors of one accuracy for a difference of two": "test_points_of_a_search_are_compared_by_their_difference",
    "free of the luck of being chosen": "test_what_a_search_chose_is_told_with_images_that_did_not_choose",
    "each at its own rate, where all chose the same": "test_searches_that_choose_the_same_say_so",
    "a verdict on networks that learned too little": "test_the_two_stuck_runs_are_named_and_in_no_comparison",
    "classes listed although none differs": "test_classes_are_told_in_one_sentence_where_they_differ",
    "classes of networks near chance": "test_no_class_of_an_untrained_network_is_compared",
    "the last network of a loop in place of the one to keep": "test_the_network_that_would_be_kept_is_compared",
    "a loop's reach without an interval": "test_how_far_a_loop_goes_has_an_interval",
    "means over surviving seeds": "test_steps_that_not_every_seed_made_are_told_as_such",
    "a reference that was not trained to its end": "test_a_reference_that_still_learns_says_so",
    "a demonstration competes for the best": "test_the_reference_of_demonstrations_is_not_ranked",
    "a mean over label counts": "test_a_gain_that_ends_is_found_to_end",
    "'rose again' as if accuracy fell": "test_a_validation_loss_rose_only_if_it_did_in_every_seed",
    "100 % without a limit": "test_no_error_at_all_has_an_upper_limit",
    "a test of wall-clock seconds": "test_times_are_printed_side_by_side",
    "a published run as a constant": "test_a_published_run_has_a_spread_of_its_own",
    "published figures of another task tested": "test_only_the_same_task_is_tested_against_published_figures",
    "a column of differences at a reduced scale": "test_no_difference_from_published_figures_at_a_reduced_scale",
    "eleven points without overlap not shown": "test_a_lead_of_11_points_is_shown_beside_variants_that_scatter",
    "'comes first' below single runs that are higher": "test_single_runs_are_named_where_they_cannot_be_ranked",
    "questions that the first page leaves out": "test_it_is_short_and_has_every_question",
    "an interval that contradicts its verdict": "test_no_sentence_contradicts_another",
    "impossible intervals": "test_impossible_intervals_are_cut",
    "trainings and prune steps counted together": "test_runs_of_each_kind_are_counted_apart",
    "mixed code as hashes on the first page": "test_mixed_code_libraries_and_devices_are_announced",
    "a mean over seeds told as a count": "test_errors_are_counted_by_seed",
    "number agreement": "test_numbers_agree_with_their_nouns",
}


def test_every_fault_has_its_test():
    tests = Path(__file__).parents[1]
    text = "\n".join(path.read_text("utf-8") for path in tests.rglob("test_*.py"))
    missing = {name for name in FOUND.values() if f"def {name}(" not in text}
    assert not missing


SINGULAR = re.compile(
    r"(?<!to )(?<!to [+−])(?<![\d.,])\b1 (seeds|points|epochs|images|runs|trainings|pruning steps"
    r"|steps|classes|variants|edits|units|settings)\b|None of the 1 |All 1 |of the 1 "
)


def test_numbers_agree_with_their_nouns():
    for number in range(60):
        results = RandomStudy(number).results()
        for make in (ranking, comparisons, pruning):
            for claim in make(results):
                said = claim["statement"].replace(SPACE, " ")
                assert not SINGULAR.search(said), said
    assert number_of(1, "class") == f"1{SPACE}class"
    assert number_of(2, "class") == f"2{SPACE}classes"
    assert number_of(2, "epoch") == f"2{SPACE}epochs"
    assert all_of(2, "variant") == "both variants"
    assert signed(0.01, "%", 0) == f"+1{SPACE}point"
    assert signed(-0.04, "%", 0) == f"−4{SPACE}points"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ([2], ": 2 are wrong"),
        ([1], ": 1 is wrong"),
        ([1, 3], ": 1 to 3 are wrong (2 seeds)"),
        ([0, 0], ", without a single error in any seed"),
    ],
)
def test_errors_are_counted_by_seed(wrong: list[int], said: str):
    assert errors(wrong) == said


def test_no_class_of_an_untrained_network_is_compared():
    seen = 0
    for number in range(60):
        results = RandomStudy(number).results()
        lost = {results.label(variant) for variant in results.untrained}
        for claim in comparisons(results):
            if claim["id"].startswith("classes:"):
                seen += 1
                assert not any(f"“{label}”" in claim["statement"] for label in lost)
    assert seen


def test_a_reference_that_still_learns_says_so():
    results = SimpleNamespace(label=lambda name: name)
    for last, count in ((0.9, 1), (0.99, 0)):
        history = [{"epoch": e, "train_loss": v} for e, v in ((1, 1.0), (2, last))]
        run = SimpleNamespace(
            variant="a",
            history=lambda rows=history: rows,
            source=lambda file, at: {"file": file, "field": at},
        )
        assert len(unfinished(results, run)) == count


def test_what_a_search_chose_is_told_with_images_that_did_not_choose(tmp_path: Path):
    variants = STUDY["variants"] | {"tuned": {"chosen": {"search": "arch"}}}
    changes = {"search": SEARCH, "variants": variants}
    job, index = make_results(tmp_path, 2, changes=changes)
    made = summary(job, index, results_folder(index, tmp_path / "results/synthetic"))
    (said,) = [c["statement"] for c in made.claims if ":again:tuned" in c["id"]]
    (_, tested) = [r["test_accuracy"] for r in made.table if r["variant"] == "tuned"]
    given = said.replace(SPACE, " ").split("images that did not choose it give ")[1]
    assert given == f"{100 * tested:.1f} % (test)."


def test_no_difference_from_published_figures_at_a_reduced_scale(report_folder: Path):
    results = results_of(report_folder)
    smaller = replace(results, summary={**results.summary, "scale": "laptop"})
    assert "Difference" in published(results).columns
    assert "Difference" not in published(smaller).columns
