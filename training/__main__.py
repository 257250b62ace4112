"""`python -m training fit RECIPE`, `sweep RECIPE`, `find-rate RECIPE`, `evaluate RUN_OR_ONNX` and
`replay ONNX LANDMARKS...`.

Of finished runs: `ensemble RUN...`, `report RUN`, `visualise RUN`.

Data: `prepare VIDEO...`, `convert PICKLE ARCHIVE`, `split SET...`, `windows RUN OUT.npz`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from landmarks import LandmarkError, formats
from models import checkpoint
from training import (
    config,
    convert,
    ensemble_runs,
    find_rate,
    prepare,
    report,
    split_files,
    sweep,
    trainer,
    visualise,
    window_files,
)
from training.evaluate import make_bench, measure, measure_network, milliseconds, of_network, of_onnx
from training.replay import replay


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    fit = commands.add_parser("fit", help="train by a recipe, measure on its test persons, write a run")
    fit.add_argument("recipe", type=Path, help="TOML file, as in training/configs")
    fit.add_argument("--out", type=Path, help="folder of the run (default: runs/NAME)")
    fit.add_argument("--resume", action="store_true", help="go on with the unfinished fit in the run's folder")
    fit.add_argument("--deterministic", action="store_true", help="as --set fit.deterministic=true")
    fit.add_argument("--seed", type=int, help="as --set fit.seed=SEED")
    evaluate = commands.add_parser("evaluate", help="measure a run, or a shipped .onnx through onnxruntime")
    evaluate.add_argument("model", type=Path, help="folder of a run, or a .onnx file")
    evaluate.add_argument("--recipe", type=Path, help="whose data and persons (default: the model's own)")
    evaluate.add_argument("--time", action="store_true", help="say too how long a window takes on one thread")
    again = commands.add_parser("replay", help="landmark files through a shipped .onnx, as live streams")
    again.add_argument("model", type=Path, help=".onnx file")
    again.add_argument("files", type=Path, nargs="+", help="as `python -m landmarks extract` writes them")
    prepare.add_arguments(commands.add_parser("prepare", help="landmarks of many videos, or of those still due"))
    convert.add_arguments(commands.add_parser("convert", help="published pickles to archives without; this unpickles"))
    split_files.add_arguments(commands.add_parser("split", help="write who is trained on and who is tested as JSON"))
    window_files.add_arguments(commands.add_parser("windows", help="a run's own windows and their truth, as a file"))
    ensemble_runs.add_arguments(commands.add_parser("ensemble", help="several runs, or files of answers, as one"))
    visualise.add_arguments(commands.add_parser("visualise", help="a run's embeddings of clips, drawn and as a table"))
    page = commands.add_parser("report", help=f"write RUN/{report.FILE} anew, as a fit does at its end")
    page.add_argument("run", type=Path, metavar="RUN", help="folder of a run")
    many = commands.add_parser("sweep", help="fit variations of a recipe, and write one table of them")
    sweep.add_arguments(many)
    rates = commands.add_parser("find-rate", help="learning rates from low to high, and the loss at each")
    find_rate.add_arguments(rates)
    for command in (fit, evaluate, many, rates):
        command.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", dest="overrides")
    options = parser.parse_args(arguments)
    data = {"prepare": prepare, "convert": convert, "split": split_files, "ensemble": ensemble_runs, "sweep": sweep}
    data["find-rate"] = find_rate
    data |= {"visualise": visualise, "windows": window_files}
    try:
        if options.command in data:
            return data[options.command].run(options, print)
        return {"fit": _fit, "evaluate": _evaluate, "replay": _replay, "report": _report}[options.command](options)
    except (ValueError, LandmarkError, FileNotFoundError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2


def _fit(options: argparse.Namespace) -> int:
    overrides = [*options.overrides, *([f"fit.seed={options.seed}"] if options.seed is not None else [])]
    overrides += ["fit.deterministic=true"] if options.deterministic else []
    recipe = config.load(options.recipe, tuple(overrides))
    run = options.out or Path("runs") / recipe.name
    saved = trainer.fit(recipe, report=lambda line: print(line, flush=True), run=run, resume=options.resume)
    if not trainer.leads():
        return 0
    figures = json.dumps(saved.manifest.metrics, indent=1)
    (run / "metrics.json").write_text(figures + "\n")
    print(f"test: {figures}\nthresholds: {saved.manifest.decoding}\nwritten: {run / checkpoint.FILE}")
    print(f"written: {report.write(run)}")
    return 0


def _report(options: argparse.Namespace) -> int:
    print(f"written: {report.write(options.run)}")
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    network = None
    if options.model.suffix == ".onnx":
        predict, manifest = of_onnx(options.model)
        path = options.recipe or Path(__file__).parent / "configs" / f"{manifest.name}.toml"
        recipe = config.load(path, tuple(options.overrides))
    else:
        saved = checkpoint.load(options.model)
        network, manifest = saved.network(), saved.manifest
        predict = of_network(network)
        recipe = (
            config.load(options.recipe, tuple(options.overrides))
            if options.recipe
            else config.from_dict(saved.recipe, tuple(options.overrides))
        )
    if options.time:
        median, slow = milliseconds(predict, manifest)
        asked = "step" if manifest.form == "stream" else "window"
        print(f"a {asked} on one thread: median {median:.2f} ms, 90th percentile {slow:.2f} ms", file=sys.stderr)
    bench, threshold = make_bench(recipe), manifest.decoding.start_above
    figures = measure(predict, bench, threshold) if network is None else measure_network(network, bench, threshold)
    print(json.dumps({name: round(value, 6) for name, value in figures.items()}, indent=1))
    return 0


def _replay(options: argparse.Namespace) -> int:
    predict, manifest = of_onnx(options.model)
    none, limit = manifest.labels.index(manifest.background), manifest.decoding.start_above
    print(f"windows whose label reaches {limit:g}: seconds, label, highest probability")
    for path in options.files:
        said = replay(formats.read(path.read_bytes()), predict, manifest)
        loudest = np.delete(said.probabilities, none, axis=1).max(axis=1, initial=0.0)
        over = [
            f"{at_s:.1f} {manifest.labels[int(np.where(np.arange(len(row)) == none, -1, row).argmax())]} {row_max:.2f}"
            + (f" {hand}" if hand else "")
            for at_s, row, row_max, hand in zip(said.at_s, said.probabilities, loudest, said.hands, strict=True)
            if row_max >= limit
        ]
        print(f"{path.name}: {len(over)} of {len(loudest)}, highest {loudest.max(initial=0.0):.2f}")
        for line in over:
            print(f"  {line}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
