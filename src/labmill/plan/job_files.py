"""The files that each job reads and makes, by the names that its rule uses."""

from collections.abc import Mapping

from labmill.plan.checkpoints import CheckpointRecords
from labmill.plan.edit_slots import CONFIRMED, PROPOSED
from labmill.plan.outputs import (
    OUTPUTS,
    base_choice,
    point_runs,
    results_files,
    results_index,
    round_index,
    steps_made,
    trial_runs,
    tried_files,
)
from labmill.plan.planned_study import PlannedStudy
from labmill.plan.search_rounds import read_rounds, round_of, up_to

Wildcards = Mapping[str, str]
Inputs = dict[str, str | list[str]]


def job_outputs(study: PlannedStudy, rule: str, wildcards: Wildcards) -> dict[str, str]:
    """Return the files that a job makes, the one that stands for the job first."""
    data, results = f"data/{study.dataset_key}", study.results
    match rule:
        case "download":
            return {k: f"{data}/{k}.npy" for k in ("images", "labels")} | {
                "card": f"{data}/card.json"
            }
        case "weights":
            folder = f"data/weights/{wildcards['weights']}"
            return {
                "model": f"{folder}/model.safetensors",
                "card": f"{folder}/card.json",
            }
        case "split" | "split_for_seed":
            seed = wildcards.get("seed")
            results = study.split_folder(int(seed) if seed else None)
            names = {"split": "split.npz", "test": "test.npz", "summary": "split.json"}
        case "select":
            names = {"chosen": f"{wildcards['search']}/chosen.json"}
        case "round":
            begin = f"{wildcards['search']}/round{wildcards['round']}"
            names = {"record": f"{begin}.json", "journal": f"{begin}.journal"}
        case "propose":
            return {"proposed": study.ranking_file(wildcards["variant"], PROPOSED)}
        case "confirm":
            return {"confirmed": study.ranking_file(wildcards["variant"], CONFIRMED)}
        case "decide":
            names = {"record": f"round_{wildcards['round']}.json"}
        case "summarize":
            names = {"runs": "runs.csv", "index": "index.json", "claims": "claims.json"}
        case "report":
            names = {"markdown": "report.md", "html": "report.html"}
            names |= {
                "pdf": "report.pdf",
                "docx": "report.docx",
                "latex": "report_latex",
                "figures": "figures",
                "record": "report.json",
            }
        case _:
            results = study.folder(
                wildcards["variant"], int(wildcards["seed"]), stage_of(rule, wildcards)
            )
            names = OUTPUTS[rule]
    return {key: f"{results}/{name}" for key, name in names.items()}


def job_log(study_path: str, rule: str, wildcards: Wildcards) -> str:
    """Return the log file of a job."""
    return f"logs/{rule}/{job_name(study_path, rule, wildcards)}.log"


def job_name(study_path: str, rule: str, wildcards: Wildcards) -> str:
    """Return the name that a job's log and benchmark share: `quickstart.cnn.seed0`."""
    if rule in ("download", "weights"):
        (name,) = wildcards.values()
        return name
    parts = [study_path]
    parts += [wildcards[key] for key in ("variant", "search") if key in wildcards]
    if "seed" in wildcards:
        parts.append(f"seed{wildcards['seed']}")
    if {"stage", "loop", "epochs"} & wildcards.keys():
        parts.append(stage_of(rule, wildcards))
    if "round" in wildcards:
        parts.append(f"round{wildcards['round']}")
    return ".".join(parts)


def stage_of(rule: str, wildcards: Wildcards) -> str:
    """Return the stage whose folder a job writes into."""
    if "loop" in wildcards:
        last = wildcards.get("step") or wildcards["control"]
        return f"{wildcards['loop']}_{last}"
    if "epochs" in wildcards:
        return f"epochs{wildcards['epochs']}"
    return wildcards.get("stage") or ("pretext" if rule == "pretrain" else "dense")


def job_inputs(
    study: PlannedStudy, rule: str, wildcards: Wildcards, records: CheckpointRecords
) -> Inputs:
    """Return the files that a job reads; an optional one that it lacks is []."""
    data, results = f"data/{study.dataset_key}", study.results
    dataset: Inputs = {"images": f"{data}/images.npy", "card": f"{data}/card.json"}
    labels = {"labels": f"{data}/labels.npy"}
    variant, seed = wildcards.get("variant", ""), int(wildcards.get("seed", "0"))
    of_split = study.split_folder(seed if "seed" in wildcards else None)
    split = {"split": f"{of_split}/split.npz"}
    sealed = {"test": f"{of_split}/test.npz", "summary": f"{of_split}/split.json"}

    def network(stage: str) -> Inputs:
        folder = study.folder(variant, seed, stage)
        model = {"model": f"{folder}/model.safetensors"}
        return dataset | split | model | {"description": f"{folder}/model.json"}

    def chosen() -> Inputs:
        return {"chosen": study.choice_file(study.resolve(variant)) or []}

    def same() -> Inputs:
        """Return the run that a search varied: the choice may be its settings."""
        choice = study.resolve(variant).chosen
        # In rounds of seeds it may need fewer of them than the choice.
        if choice is None or rule != "train" or study.study.rounds is not None:
            return {"same": []}
        search = study.study.search.get(choice.search)
        varied = [v for v in study.variants if search and v.name == search.variant]
        if varied and varied[0].chosen is None and seed in varied[0].seeds:
            return {"same": f"{study.folder(varied[0].name, seed, 'dense')}/model.json"}
        return {"same": []}

    match rule:
        case "download" | "weights":
            return {}
        case "split" | "split_for_seed":
            return dataset | labels
        case "train" | "pretrain" | "pause":
            start = study.pretext_folder(variant, seed)
            begin: Inputs = {"start": f"{start}/model.safetensors" if start else []}
            key = study.weights_key(study.resolve(variant))
            begin["weights"] = f"data/weights/{key}/model.safetensors" if key else []
            stops = study.earlier_rungs(variant, stage_of(rule, wildcards))
            paused: Inputs = {"paused": []}
            if stops:
                earlier = study.folder(variant, seed, f"epochs{stops[-1]}")
                paused = {"paused": f"{earlier}/state.safetensors"}
            return dataset | split | begin | chosen() | paused | same()
        case "prune":
            step = int(wildcards["step"]) - 1
            before = f"{wildcards['loop']}_{step}"
            record = f"{study.folder(variant, seed, before)}/prune.json"
            last: Inputs = {"before": record if step else []}
            return network(before if step else "dense") | last | chosen()
        case "control":
            loop = wildcards["loop"]
            folders = [
                study.folder(variant, seed, f"{loop}_{step + 1}")
                for step in range(steps_made(study, loop, variant, seed, records))
            ]
            steps: Inputs = {"steps": [f"{folder}/model.json" for folder in folders]}
            return network("dense") | steps | chosen()
        case "evaluate":
            return network(wildcards["stage"]) | sealed
        case "select":
            search = wildcards["search"]
            runs = point_runs(study, search, records)
            points: Inputs = {"points": tried_files(runs)}
            number = read_rounds(study, search, records).number
            last_made = f"{results}/{search}/round{number}.json"
            points |= {"rounds": last_made if number else []}
            return points | {"base": base_choice(study, search) or []}
        case "round":
            search, last_round = wildcards["search"], int(wildcards["round"]) - 1
            if not last_round:
                return {"before": [], "asked": [], "points": []}
            runs = point_runs(study, search, up_to(records, last_round))
            made = job_outputs(study, "round", round_of(search, last_round))
            asked: Inputs = {"before": made["record"], "asked": made["journal"]}
            return asked | {"points": tried_files(runs)}
        case "propose":
            profiled = study.folder(variant, study.resolve(variant).seeds[0], "dense")
            files = {"measure": "measure.json", "description": "model.json"}
            measured = {key: f"{profiled}/{name}" for key, name in files.items()}
            return {**measured, **dataset, **split}
        case "confirm":
            trials = tried_files(trial_runs(study, variant))
            return {"proposed": study.ranking_file(variant, PROPOSED), "trials": trials}
        case "decide":
            index = round_index(study, int(wildcards["round"]), records)
            return {"files": results_files(index)}
        case "summarize":
            return {"files": results_files(results_index(study, records))}
        case "report":
            made = {"runs": "runs.csv", "index": "index.json", "claims": "claims.json"}
            written = {key: f"{results}/{name}" for key, name in made.items()}
            summary = {"summary": f"{results}/split.json"}
            return {**written, **split, **summary, **dataset, **labels}
        case _:
            return network(stage_of(rule, wildcards))
