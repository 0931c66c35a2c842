"""What it costs to begin: imports and the command line, in fresh processes.

    python tools/benchmarks/startup.py

Whole processes, in turn, each after one that only warmed the disk's cache:
`import keras_lapgan`, which imports Keras only when it is asked for something,
against an empty program; `from keras_lapgan import LAPGAN` against
`import keras`; `keras-lapgan --help` against `import click`; and a
`keras-lapgan sample` of 64 pictures against a program that imports Keras and
adds two numbers. The backend is `KERAS_BACKEND`.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def python(code):
    return [sys.executable, "-c", code]


def command(*arguments):
    code = "from keras_lapgan.cli.main import main; main()"
    return [*python(code), *arguments]


def seconds(line):
    start = time.perf_counter()
    subprocess.run(line, check=True, capture_output=True)
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--preset", default="lapgan_cifar10_small")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    print(
        f"{backend}, Python {platform.python_version()}, {os.cpu_count()} "
        f"cores, {platform.machine()}, median of {arguments.rounds}"
    )
    print("| program | seconds | against | seconds | ratio |")
    print("|---" * 5 + "|")
    with tempfile.TemporaryDirectory() as folder:
        output = f"{folder}/samples.png"
        options = ("--count", "64", "--overwrite", "--output", output)
        rows = (
            (
                "`import keras_lapgan`",
                python("import keras_lapgan"),
                "`pass`",
                python("pass"),
            ),
            (
                "`from keras_lapgan import LAPGAN`",
                python("from keras_lapgan import LAPGAN"),
                "`import keras`",
                python("import keras"),
            ),
            (
                "`keras-lapgan --help`",
                command("--help"),
                "`import click`",
                python("import click"),
            ),
            (
                "`keras-lapgan sample`",
                command("sample", arguments.preset, *options),
                "`keras.ops.add(1, 1)`",
                python("import keras; keras.ops.add(1, 1)"),
            ),
        )
        for name, ours, other, theirs in rows:
            times = {"ours": [], "theirs": []}
            for _ in range(arguments.rounds + 1):
                times["ours"].append(seconds(ours))
                times["theirs"].append(seconds(theirs))
            a, b = (statistics.median(x[1:]) for x in times.values())
            print(
                f"| {name} | {a:.3f} s | {other} | {b:.3f} s | {a / b:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
