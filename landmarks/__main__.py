"""`python -m landmarks extract VIDEO... --out DIR`: videos to landmark files; `convert-models`: MediaPipe's to ONNX."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from tqdm import tqdm

from landmarks import networks
from landmarks.errors import LandmarkError
from landmarks.extract import BACKENDS, Backend, Extractor, extract_video, extract_videos, frame_count
from landmarks.formats import npz
from landmarks.sequence import LandmarkSequence


def main(arguments: list[str] | None = None) -> int:
    """Returns 1 where any file failed; the others are written all the same."""
    parser = argparse.ArgumentParser(prog="python -m landmarks", description="Landmarks from videos.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    extract = commands.add_parser("extract", help="write VIDEO's landmarks to DIR/VIDEO.npz")
    extract.add_argument("videos", nargs="+", type=Path, metavar="VIDEO")
    extract.add_argument("--out", type=Path, default=Path(), metavar="DIR", help="default: here")
    extract.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1), help="default: %(default)s")
    extract.add_argument("--backend", choices=BACKENDS, default="auto", help="what finds them; default: %(default)s")
    extract.set_defaults(run=_extract)
    convert = commands.add_parser("convert-models", help="MediaPipe's networks to ONNX files, as extraction runs them")
    convert.add_argument("names", nargs="*", metavar="NAME", help=f"default: {' '.join(networks.HOLISTIC)}")
    convert.add_argument(
        "--out", type=Path, default=networks.cache_folder(), metavar="DIR", help="default: %(default)s"
    )
    convert.set_defaults(run=_convert_models)
    options = parser.parse_args(arguments)
    return options.run(options)


def _extract(options: argparse.Namespace) -> int:
    options.out.mkdir(parents=True, exist_ok=True)
    one = len(options.videos) == 1
    results = _one(options.videos[0], options.backend) if one else _several(options)
    failed = 0
    for path, found in results:
        if isinstance(found, LandmarkSequence):
            (options.out / f"{path.name}.npz").write_bytes(npz.write(found))
        else:
            failed += 1
            print(f"{path}: {found}", file=sys.stderr)
    return 1 if failed else 0


def _one(path: Path, backend: Backend) -> Iterable[tuple[Path, LandmarkSequence | Exception]]:
    try:
        with Extractor(backend) as extractor, tqdm(total=frame_count(path), unit="frame", desc=path.name) as bar:
            return [(path, extract_video(path, extractor, on_frame=lambda done: bar.update(done - bar.n)))]
    except (LandmarkError, OSError) as error:
        return [(path, error)]


def _several(options: argparse.Namespace) -> Iterable[tuple[Path, LandmarkSequence | Exception]]:
    found = extract_videos(options.videos, options.processes, options.backend)
    return tqdm(found, total=len(options.videos), unit="video")


def _convert_models(options: argparse.Namespace) -> int:
    for name in options.names or networks.HOLISTIC:
        try:
            print(networks.converted(name, options.out))
        except (LandmarkError, OSError) as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
