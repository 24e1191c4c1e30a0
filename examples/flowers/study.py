"""The grids of the paper about Keras-Prov (its Tables I, II and III), trained one after another.

    python study.py [--small | --full | --tiny] [--data FOLDER] [--db kerasprov.db] [--part 1/2]

Table I is AlexNet with seven activations, Table II DenseNet-121 with the same, Table III DenseNet
with four dropout rates and three learning rates. `--full` has the paper's size: 224 pixels, 100
epochs, 10 for Table III. `--small`, the default, has 64 pixels and few epochs: two cores train it
within an hour. `--tiny` shows that all of it runs.

Each training is a process of its own under `python -m kerasprov_agent`. What the database holds as
finished, on the same pictures, is not trained again: so the study goes on where it was interrupted.
`--part 1/2` and `--part 2/2` train a half each, on two machines; `kerasprov merge` gathers them.
"""

import argparse
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

import kerasprov_agent

HERE = Path(__file__).parent
ACTIVATIONS = ("relu", "elu", "selu", "softplus", "softsign", "tanh", "sigmoid")
DROPOUTS = (0.2, 0.4, 0.6, 0.8)
RATES = (0.001, 0.01, 0.1)


class Size(NamedTuple):
    """How large a study is."""

    pixels: int
    alexnet_epochs: int
    densenet_epochs: int
    table_3_epochs: int


SIZES = {"tiny": Size(32, 1, 1, 1), "small": Size(64, 12, 8, 6), "full": Size(224, 100, 100, 10)}


def trainings(size):
    """The trainings of the three tables: of each its script and its arguments, by name."""
    for activation in ACTIVATIONS:
        yield "alexnet.py", {"activation": activation, "epochs": size.alexnet_epochs}
    for activation in ACTIVATIONS:
        yield "densenet.py", {"activation": activation, "epochs": size.densenet_epochs}
    for dropout in DROPOUTS:
        for rate in RATES:
            arguments = {"dropout": dropout, "learning_rate": rate, "epochs": size.table_3_epochs}
            yield "densenet.py", {"activation": "softplus", **arguments}


FINISHED = """
SELECT r.run, r.script, p.name, p.value
FROM runs r
JOIN params p ON p.run = r.run AND p.source = 'argument' AND p.name <> 'data'
JOIN run t ON t.number = r.run
JOIN derived d ON d.entity_id = t.training_data_id
JOIN files f ON f.id = d.source_id
WHERE r.status = 'finished' AND coalesce(f.sha256, f.partial_sha256) = (
    SELECT coalesce(sha256, partial_sha256) FROM files
    WHERE path = ? ORDER BY generated_at DESC LIMIT 1
)
"""
"""The trainings whose data came from a file that is, byte for byte, the one at this path."""


def finished(db, pictures):
    """What the database holds as finished on these pictures: scripts with their arguments."""
    rows = kerasprov_agent.open(db).sql(FINISHED, str(pictures))
    runs = {}
    for row in rows:
        run = runs.setdefault(row["run"], (Path(row["script"]).name, set()))
        run[1].add((row["name"], str(row["value"])))
    return {(script, frozenset(arguments)) for script, arguments in runs.values()}


def train(script, arguments, data, db):
    """Train one of them, recorded; returns whether it went well."""
    words = [f"--{name.replace('_', '-')}={value}" for name, value in arguments.items()]
    command = [sys.executable, "-m", "kerasprov_agent", "--db", db, "--prov", "off"]
    done = subprocess.run(
        [*command, HERE / script, "--data", data, *words], stdout=subprocess.DEVNULL, check=False
    )
    return done.returncode == 0


def part(text):
    """`1/2` as two numbers."""
    number, count = map(int, text.split("/"))
    if not 1 <= number <= count:
        raise argparse.ArgumentTypeError(f"{text} is no part such as 1/2")
    return number, count


def main():
    """Prepare the pictures, and train what is left to be trained."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name in SIZES:
        parser.add_argument(f"--{name}", dest="size", action="store_const", const=name)
    parser.add_argument("--data", default="flowers17", help="the folder of pictures")
    parser.add_argument("--db", default="kerasprov.db")
    parser.add_argument("--part", type=part, default=(1, 1), help="such as 1/2: the first half")
    parser.add_argument("--most", type=int, default=1000, help="train so many now, and stop")
    given = parser.parse_args()
    size = SIZES[given.size or "small"]
    db, pictures = str(Path(given.db).absolute()), Path(given.db).absolute().parent / "flowers.npz"
    prepared = [HERE / "prepare.py", "--data", given.data, "--size", str(size.pixels)]
    subprocess.run(
        [sys.executable, "-m", "kerasprov_agent", "--db", db, "--prov", "off", *prepared,
         "--output", pictures],
        check=True,
    )  # fmt: skip
    known = finished(db, pictures)
    trained, failed = 0, 0
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
               TimeRemainingColumn())  # fmt: skip
    with Progress(*columns) as progress:
        number, count = given.part
        every = list(trainings(size))[number - 1 :: count]
        bar = progress.add_task("the study", total=len(every))
        for script, arguments in every:
            shown = ", ".join(f"{name} {value}" for name, value in arguments.items())
            progress.update(bar, description=f"{script.removesuffix('.py')}: {shown}")
            told = frozenset((name, str(value)) for name, value in arguments.items())
            if (script, told) not in known:
                if trained == given.most:
                    break
                trained += 1
                failed += not train(script, arguments, pictures, db)
            progress.advance(bar)
    print(f"{trained} trainings, of which {failed} failed; {given.db} has the record")
    return failed


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
