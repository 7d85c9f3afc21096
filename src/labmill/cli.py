"""The command `labmill`: everything that is not a job of the workflow."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labmill.core.errors import LabmillError, printable
from labmill.core.paths import CHECKOUT, project_file, slurm_profile

if TYPE_CHECKING:
    from labmill.plan.plan import Plan

LIVE_PAGE = Path("live.html")
Run = Callable[[argparse.Namespace], int | None]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand.

    Returns:
        0 when done, 1 when a check failed, 2 for a wrong call.
    """
    given = [*(sys.argv[1:] if arguments is None else arguments)]
    end = given.index("--") if "--" in given else len(given)
    called = parser().parse_args(given[:end])
    called.further = given[end + 1 :]
    # Snakemake and caches need a home folder, which a container's user may lack.
    if not os.access(os.path.expanduser("~"), os.W_OK):  # noqa: PTH111  never raises
        os.environ["HOME"] = str(Path(".home").resolve())
    try:
        status = called.run(called) or 0
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # the reader of its output has ended, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except LabmillError as error:
        message = str(error)
    except OSError as error:
        if error.filename is None:
            raise
        message = f"{error.filename}: {error.strerror}"
    print(f"Error: {printable(message)}", file=sys.stderr)
    return 2


def at_least(least: int) -> Callable[[str], int]:
    """Return what reads a whole number of at least so much from the command line."""

    def number(text: str) -> int:
        if not text.strip().isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(
                f"found {text!r}; expected a whole number, at least {least}"
            )
        return int(text)

    return number


def parser() -> argparse.ArgumentParser:
    """Return the parser of all subcommands."""
    top = argparse.ArgumentParser(
        prog="labmill", description="A study file in, a finished report out."
    )
    commands = top.add_subparsers(required=True, metavar="command")

    def command(
        name: str, run: Run, about: str, *aliases: str
    ) -> argparse.ArgumentParser:
        added = commands.add_parser(
            name, help=about, description=about, aliases=aliases
        )
        added.set_defaults(run=run)
        return added

    def study(parser: argparse.ArgumentParser, what: str = "study") -> None:
        parser.add_argument(what, help="name, scale/name, studies/x.yaml or results/x")
        parser.add_argument("--scale", default="full", help="full, laptop or smoke")

    about = "Write a folder for your own studies, with an example"
    new = command("init", run_init, about)
    new.add_argument("folder", type=Path)
    build = command("run", run_study, "Build the report of a study")
    study(build)
    build.add_argument("--profile", default="profiles/local", help="of Snakemake")
    build.epilog = "Arguments after -- are Snakemake's: labmill run mine -- --cores 2"
    plan = command("plan", run_plan, "List the jobs of a study, why they run, and cost")
    study(plan)
    plan.add_argument("--profile", help="profile of the cluster that the cost is for")
    plan.add_argument(
        "--measure",
        action="store_true",
        help="train each network a few steps first (at most 5 s each, remembered)",
    )
    for one in (build, plan):
        one.add_argument(
            "--set",
            action="append",
            default=[],
            metavar="KEY=VALUE",
            help="change a setting of the study, such as training.epochs=2",
        )
    watch = command("watch", run_watch, "Show a running study, from its files")
    study(watch)
    watch.add_argument(
        "--html",
        type=Path,
        nargs="?",
        const=LIVE_PAGE,
        metavar="PAGE",
        help="also write a page with live curves (default: live.html in its results)",
    )
    about = "Check a study file, or `model NAME`: what works with a network"
    check = command("check", run_check, about)
    study(check)
    check.add_argument("model", nargs="?", help="after `model`: name of a network")
    check.add_argument("--arguments", default="{}", help="of the network, as YAML")
    for fact, size in (("classes", 10), ("size", 32), ("channels", 3)):
        about = f"of the images that a network is tried with (default: {size})"
        check.add_argument(f"--{fact}", type=int, default=size, help=about)
    clean = command("clean", run_clean, "List results of removed or renamed variants")
    study(clean)
    clean.add_argument(
        "--move", action="store_true", help="move the results of renamed variants"
    )
    clean.add_argument(
        "--delete", action="store_true", help="delete the results of removed variants"
    )
    verify = command("verify", run_verify, "Recompute a report from its predictions")
    study(verify, "results")
    rerender = command("rerender", run_rerender, "Write a finished report again")
    study(rerender, "results")
    rerender.add_argument("out", type=Path, nargs="?", help="folder of the new report")
    about = "Write a reproducibility archive (zip)"
    archive = command("archive", run_archive, about, "capsule")
    study(archive, "results")
    archive.add_argument("out", type=Path, nargs="?", help="the zip file to write")
    archive.add_argument(
        "--weights",
        action=argparse.BooleanOptionalAction,
        help="pack the evaluated networks (default: up to 200 MB)",
    )
    reproduce = command("reproduce", run_reproduce, "Check an archive, rerun one run")
    reproduce.add_argument("archive", type=Path, help="the zip file")
    reproduce.add_argument("run_again", nargs="?", metavar="variant:seed")
    grade = command("grade", run_grade, "Check archives against an assignment")
    grade.add_argument("archives", type=Path, nargs="+", help="zip files")
    grade.add_argument("--spec", type=Path, required=True, help="assignment.yaml")
    grade.add_argument(
        "--rerun",
        type=at_least(0),
        default=0,
        metavar="K",
        help="train K runs of each archive again, drawn by archive and secret",
    )
    grade.add_argument("--secret", default="", help="known to you alone")
    grade.add_argument("--jobs", type=at_least(1), default=1, help="archives at once")
    grade.add_argument("--csv", type=Path, help="write a table for a spreadsheet")
    grade.add_argument("--json", type=Path, help="write all that was found")
    grade.add_argument(
        "--html", type=Path, help="write a page with a table of the class"
    )
    grade.add_argument(
        "--gradescope",
        type=Path,
        metavar="FOLDER",
        help="write a results.json per archive, as Gradescope and Otter-Grader read it",
    )
    for one in (reproduce, grade):
        one.add_argument("--data", type=Path, default=Path("data"), help="datasets")
        one.add_argument(
            "--trust-code",
            action="store_true",
            help="let the archive's own code run, in a sandbox if bubblewrap is installed",
        )
    doctor = command("doctor", run_doctor, "Inspect the SLURM cluster, write site.yaml")
    site = slurm_profile() / "site.yaml"
    doctor.add_argument("site", type=Path, nargs="?", default=site)
    made = command("notebook", run_notebook, "Write a notebook that opens the results")
    study(made, "results")
    made.add_argument("out", type=Path, nargs="?", help="the notebook to write")
    options = command("options", run_options, "Write docs/options.md from the schema")
    page = CHECKOUT / "docs" / "options.md"
    options.add_argument("out", type=Path, nargs="?", default=page)
    return top


def results_folder(called: argparse.Namespace) -> Path:
    """Return the results folder that a user means, by path or by the study's name."""
    from labmill.workflow.targets import parse_study

    path = Path(called.results)
    if path.name == "report.html":
        path = path.parent
    # What is too long for a path is no study either.
    with suppress(OSError):
        if called.results and path.is_dir() and called.scale == "full":
            return path if path.name else path.resolve()
    return Path("results", parse_study(called.results, called.scale))


# Each imports late: `labmill --help` needs neither pandas nor Snakemake.


def read_plan(called: argparse.Namespace, site: Path | None = None) -> "Plan":
    """Return the plan of a study, with the settings of config.yaml."""
    from labmill.cluster.site import read
    from labmill.workflow.context import WorkflowContext
    from labmill.workflow.targets import parse_study

    config = read(project_file("config.yaml"))
    if changes := changes_of(getattr(called, "set", ())):
        config["set"] = changes
    if site is not None:
        config["site"] = read(site).get("site")
    called.config, called.context = config, WorkflowContext(config)
    plan: Plan = called.context.plan(parse_study(called.study, called.scale))
    return plan


def run_init(called: argparse.Namespace) -> None:
    """Write a working directory for the user's own studies."""
    from labmill.workflow.project import init

    for path in init(called.folder):
        print(f"{called.folder / path}")
    print(
        f"Next: cd {called.folder}, labmill check mine, labmill run mine --scale smoke"
    )


def run_study(called: argparse.Namespace) -> int:
    """Build a study in the working directory."""
    say_reading(called)
    from labmill.workflow.project import run
    from labmill.workflow.targets import parse_study

    study_path = parse_study(called.study, called.scale)
    return run(study_path, called.profile, called.further, changes_of(called.set))


def say_reading(called: argparse.Namespace) -> None:
    """Say in a terminal what is done, before imports that take seconds."""
    if sys.stderr.isatty():
        print(f"Reading the study {called.study} …", file=sys.stderr, flush=True)


def changes_of(given: Sequence[str]) -> dict[str, Any]:
    """Return `training.epochs=2` and others by key, values as in YAML.

    Raises:
        LabmillError: one has no `=`, or no YAML after it.
    """
    from labmill.study.yaml_source import yaml_value

    found: dict[str, Any] = {}
    for one in given:
        key, separator, text = one.partition("=")
        expected = f"--set {one}: expected a key and a value: training.epochs=2"
        if not separator or not key:
            raise LabmillError(expected)
        found[key] = yaml_value(text, expected)
    return found


def run_plan(called: argparse.Namespace) -> None:
    """Print why each job runs, the cost, and whether the budget forbids it."""
    from labmill.cluster import cost_estimate
    from labmill.cluster.site import site_file
    from labmill.plan.rerun_reasons import explanation
    from labmill.plan.status import study_path
    from labmill.study.scales import SCALES
    from labmill.workflow.check_words import check_words

    plan = read_plan(called, site_file(Path(called.profile or "")))
    check_words(plan)
    print(explanation(plan))
    here = not called.config.get("site")
    scales = {s: called.context.plan(study_path(plan.name, s)) for s in SCALES}
    if called.measure:
        cost_estimate.measure(plan, cost_estimate.device_of({}))
    costs = cost_estimate.estimates(scales.values(), called.config)
    print(cost_estimate.cost_table(plan, costs[plan], here=here))
    if here:
        found = {scale: costs[one] for scale, one in scales.items()}
        print(cost_estimate.scales_table(found))
    budget = called.config.get("budget")
    if refused := cost_estimate.over_budget({plan: costs[plan]}, budget):
        print(f"Would not start: {refused}")


def run_watch(called: argparse.Namespace) -> None:
    """Show a study until it is complete."""
    say_reading(called)
    from labmill.watch.follow import follow

    plan = read_plan(called)
    page = called.html
    follow(plan, Path(plan.results, page) if page == LIVE_PAGE else page)


def run_check_model(called: argparse.Namespace) -> int:
    """Print in which stages a network works."""
    from labmill.conformance.check_model import as_text, check_model
    from labmill.study.yaml_source import yaml_value

    facts = {
        "num_classes": called.classes,
        "image_size": called.size,
        "in_channels": called.channels,
    }
    given = called.arguments
    expected = f"--arguments {given}: expected a mapping such as {{width: 2}}"
    arguments = yaml_value(given, expected)
    if not isinstance(arguments, dict):
        raise LabmillError(expected)
    found = check_model(called.model, arguments, facts)
    print(as_text(found))
    return 0 if all(one.works for one in found) else 1


def run_check(called: argparse.Namespace) -> int:
    """Print what a study trains, or the mistakes in its file; or what a model can do."""
    if called.study == "model" and called.model:
        return run_check_model(called)
    from labmill.study.check_networks import check_networks
    from labmill.workflow.check_words import check_words

    plan = read_plan(called)
    check_words(plan)
    check_networks(plan.resolved.values(), plan.facts, plan.source, plan.study)
    jobs = sum(1 for _ in plan.jobs())
    if plan.study.data.dataset == "image_folder":
        print(plan.image_tree)
    print(f"{plan.path}: no mistakes; {len(plan.variants)} variants, {jobs} jobs")
    return 0


def run_clean(called: argparse.Namespace) -> None:
    """List, move or delete the results of variants that the study no longer has."""
    from labmill.plan.leftovers import delete, leftover_results, move

    plan = read_plan(called)
    found = leftover_results(plan)
    for one in found:
        if one.renamed and called.move:
            move(plan, one)
        elif not one.renamed and called.delete:
            delete(one)
        print(one)
    if not found:
        print(f"{plan.results}: no results of removed or renamed variants")
    elif not (called.move or called.delete):
        print("Nothing was changed; --move moves and --delete deletes them.")


def run_verify(called: argparse.Namespace) -> int:
    """Print what was checked in a study's results."""
    from labmill.archive.verify import verify
    from labmill.core.files import read_json

    results = results_folder(called)
    found = verify(results)
    notes = read_json(results / "index.json")["mixed"]
    for line in [*(f"Note: {note}" for note in notes), found]:
        print(printable(line))
    return 1 if found.mismatches else 0


def run_rerender(called: argparse.Namespace) -> None:
    """Write a finished report again."""
    from labmill.archive.rerender import rerender

    print(rerender(results_folder(called), called.out))


def run_archive(called: argparse.Namespace) -> None:
    """Write an archive and print its digest."""
    from labmill.archive.archive import write_archive
    from labmill.core.files import file_digest

    results = results_folder(called)
    out = called.out or results.with_name(f"{results.name}.zip")
    write_archive(results, out, weights=called.weights)
    size = out.stat().st_size / 1e6
    print(f"{out}: {size:.1f} MB, SHA-256 {file_digest(out)}")


def run_reproduce(called: argparse.Namespace) -> int:
    """Check an archive; with a run, train it again and compare."""
    from labmill.archive.reproduce import Outcome, reproduce

    verdict, reruns = reproduce(
        called.archive,
        called.run_again or None,
        trust_code=called.trust_code,
        data=called.data,
        show=lambda text: print(printable(text), file=sys.stderr),
    )
    for found in [*reruns, verdict]:
        print(printable(found))
    different = any(one.outcome is Outcome.DIFFERENT for one in reruns)
    return 1 if verdict.mismatches or different else 0


def run_grade(called: argparse.Namespace) -> int:
    """Print the requirements that each archive meets."""
    from labmill.archive import grade
    from labmill.core.files import check_output_file, writing

    rules = grade.Rules(
        assignment=called.spec,
        data=called.data,
        reruns=called.rerun,
        secret=called.secret,
        trust_code=called.trust_code,
    )
    files = [called.csv, called.json, called.html]
    if called.gradescope:
        with writing(called.gradescope):
            called.gradescope.mkdir(parents=True, exist_ok=True)
        files.append(called.gradescope / "results.json")
    for path in filter(None, files):
        check_output_file(path)
    found = list(grade.grade_class(called.archives, rules, jobs=called.jobs))
    one = len(found) == 1
    text = found[0].markdown() if one else grade.as_table(found)
    print(printable(text), end="")
    for path, write in (
        (called.csv, grade.as_csv),
        (called.json, grade.as_json),
        (called.html, grade.as_html),
    ):
        if path:
            path.write_text(write(found), encoding="utf-8")
    if called.gradescope:
        for result in found:
            name = Path(result.archive).with_suffix("").as_posix().strip("/")
            folder = called.gradescope / name.replace("/", "-")
            folder.mkdir(parents=True, exist_ok=True)
            text = grade.as_gradescope(result)
            (folder / "results.json").write_text(text, encoding="utf-8")
    if any(result.error for result in found):
        return 2
    return 0 if all(result.met for result in found) else 1


def run_doctor(called: argparse.Namespace) -> None:
    """Inspect the cluster and write its site file."""
    from labmill.cluster.preflight import inspect_cluster

    inspect_cluster(called.site)


def run_notebook(called: argparse.Namespace) -> None:
    """Write a notebook that opens the results."""
    from labmill.api.notebook import notebook
    from labmill.core.files import atomic_write

    results = results_folder(called)
    out = called.out or Path(f"{results.name}.ipynb")
    content = notebook(results)
    with atomic_write(out) as file:
        file.write(content)
    print(out)


def run_options(called: argparse.Namespace) -> None:
    """Write the reference page of all options."""
    from labmill.core.files import atomic_write
    from labmill.study.options_page import options

    with atomic_write(called.out) as file:
        file.write(options())


if __name__ == "__main__":
    sys.exit(main())
