"""Files of the shapes that Keras-Prov, DNNProv and DLProv wrote, with made-up values.

One dataflow `flowers` of three runs of twelve epochs, as a terminal pasted it; one execution of
DLProv as PROV-JSON.
"""

from __future__ import annotations

import json
import struct
from typing import Any

EPOCHS = 12
RUNS = (("Adam", 0.001, 0.4), ("SGD", 0.001, 0.4), ("Adam", 0.0005, 0.7))
START = 1_616_622_370.0
GAP = 1000.0
COLUMNS = {
    "ifilters": (("timestamp", "VARCHAR(500)"), ("dataset_name", "VARCHAR(500)")),
    "ofilters": (("timestamp", "VARCHAR(500)"), ("filter_name", "VARCHAR(500)")),
    "ilayers": (
        ("timestamp", "VARCHAR(500)"),
        ("name", "VARCHAR(500)"),
        ("attribute_type", "VARCHAR(500)"),
        ("value", "VARCHAR(500)"),
    ),
    "itrainingmodel": (
        ("timestamp", "VARCHAR(500)"),
        ("optimizer_name", "VARCHAR(500)"),
        ("learning_rate", "DOUBLE"),
        ("num_epochs", "DOUBLE"),
        ("batch_size", "DOUBLE"),
        ("num_layers", "DOUBLE"),
    ),
    "otrainingmodel": (
        ("timestamp", "VARCHAR(500)"),
        ("elapsed_time", "VARCHAR(500)"),
        ("loss", "DOUBLE"),
        ("accuracy", "DOUBLE"),
        ("val_loss", "DOUBLE"),
        ("val_accuracy", "DOUBLE"),
        ("epoch", "DOUBLE"),
    ),
    "oadaptation": (
        ("new_lrate", "DOUBLE"),
        ("timestamp", "VARCHAR(500)"),
        ("epoch_id", "DOUBLE"),
        ("adaptation_id", "DOUBLE"),
    ),
    "otestingmodel": (("timestamp", "VARCHAR(500)"), ("loss", "DOUBLE"), ("accuracy", "DOUBLE")),
}
TASKS = {"filters": 1, "trainingmodel": 2, "adaptation": 3, "testingmodel": 4}
OWNER = {
    "ifilters": "filters",
    "ofilters": "filters",
    "ilayers": "trainingmodel",
    "itrainingmodel": "trainingmodel",
    "otrainingmodel": "trainingmodel",
    "oadaptation": "adaptation",
    "otestingmodel": "testingmodel",
}


def single(value: float) -> float:
    """A number with the noise of 32 bits."""
    return float(struct.unpack("f", struct.pack("f", value))[0])


def accuracy(run: int, epoch: int) -> float:
    """What the epochs of a run (from 0) tell."""
    return round((0.5 + 0.1 * run) * (epoch + 1) / EPOCHS, 4)


def rows() -> dict[str, list[tuple[Any, ...]]]:
    """The rows of each table, without the keys of the database."""
    found: dict[str, list[tuple[Any, ...]]] = {name: [] for name in COLUMNS}
    for run, (optimizer, rate, dropout) in enumerate(RUNS):
        began = START + GAP * run
        found["ifilters"].append((str(began), "flowers"))
        found["ofilters"].append((str(began + 0.5), "none" if dropout < 0.5 else "blur"))
        moment = str(began + 1.25)
        for name, kind, value in (
            ("activation_1", "activation", "relu"),
            ("dropout_1", "dropout", str(dropout)),
            ("activation_2", "activation", "softmax"),
        ):
            found["ilayers"].append((moment, name, kind, value))
        found["itrainingmodel"].append((moment, optimizer, single(rate), EPOCHS, 64, 7))
        for epoch in range(EPOCHS):
            # Twenty seconds an epoch, a second more under SGD.
            seconds = 21.0 if optimizer == "SGD" else 20.0
            told = accuracy(run, epoch)
            found["otrainingmodel"].append(
                (
                    str(began + 2 + seconds * (epoch + 1)),
                    str(seconds),
                    round(3 - 2 * told, 4),
                    told,
                    -9999999 if (run, epoch) == (1, 0) else round(3.2 - 2 * told, 4),
                    round(told * 0.9, 4),
                    epoch,
                )
            )
            if epoch >= 9:  # the same change again and again
                half = single(rate / 2)
                found["oadaptation"].append(
                    (half, str(began + 2 + seconds * epoch), epoch, epoch - 8)
                )
        found["otestingmodel"].append(
            (str(began + 400), round(1.5 - 0.2 * run, 4), round(0.4 + 0.1 * run, 4))
        )
    return found


def value(one: Any) -> str:
    """A value as a dump writes it."""
    return "NULL" if one is None else f'"{one}"' if isinstance(one, str) else repr(one)


def dump(delimiter: str = "\\t", schema: str = "flowers") -> str:
    """A dump; with `|` as msqldump wrote it, with `\\t` as a terminal pasted it."""
    between = "|" if delimiter == "|" else "    "
    text = [] if delimiter == "|" else ["sql>\\D"]
    text += ["START TRANSACTION;", f'SET SCHEMA "{schema}";']
    for table, table_rows in rows().items():
        name = f'"{schema}"."ds_{table}"'
        columns = [("id", "INTEGER"), (f"{OWNER[table]}_task_id", "INTEGER"), *COLUMNS[table]]
        text.append(f"CREATE TABLE {name} (")
        text += [f'        "{column}" {kind},' for column, kind in columns]
        text += [f'        CONSTRAINT "ds_{table}_id_pkey" PRIMARY KEY ("id")', ");"]
        text.append(
            f"COPY {len(table_rows)} RECORDS INTO {name} FROM stdin "
            f"USING DELIMITERS '{delimiter}','\\n','\"';"
        )
        for place, row in enumerate(table_rows, 1):
            line = (place, TASKS[OWNER[table]], *row)
            text.append(between.join(map(value, line)))
    text += [
        "create function insertdataflow (v_tag varchar(50))",
        "returns integer",
        "begin",
        " declare v_df_id integer;",
        "end;",
        "COMMIT;",
    ]
    return "\n".join(text) + "\n"


def document() -> str:
    """A PROV-JSON document of DLProv: names of attributes end in a colon."""
    entities: dict[str, dict[str, Any]] = {
        "plan": {"prov:type:": "prov:Plan", "dlprov:tag:": "digits"},
        "raw": {"dlprov:ds_tag": "iinputdataset", "dlprov:dataset_name:": "digits"},
        "data": {"dlprov:ds_tag": "oloaddata", "dlprov:dataset_dir:": "/data/digits"},
        "split": {"dlprov:ds_tag": "isplitconfig", "dlprov:ratio:": number(60)},
        "train": {"dlprov:ds_tag": "otrainset", "dlprov:trainset:": "/data/digits/train.npz"},
        "test": {"dlprov:ds_tag": "otestset", "dlprov:testset:": "/data/digits/test.npz"},
        "settings": {
            "dlprov:ds_tag": "itrainmodel",
            "dlprov:optimizer_name:": "adam",
            "dlprov:learning_rate:": number(single(0.01)),
            "dlprov:num_epochs:": number(2),
            "dlprov:num_layers:": number(4),
        },
        "model": {"dlprov:ds_tag": "otrainedmodel", "dlprov:model_dir:": "/data/digits/model.h5"},
        "tested": {
            "dlprov:ds_tag": "otestmodel",
            "dlprov:loss:": number(0.1),
            "dlprov:accuracy:": number(0.97),
        },
    }
    for epoch, (loss, seconds) in enumerate(((0.5, "11.5"), (0.25, "10.5"))):
        entities[f"epoch-{epoch}"] = {
            "dlprov:ds_tag": "otrainmodel",
            "dlprov:timestamp:": f"2024-10-21 16:33:{46 + epoch}",
            "dlprov:elapsed_time:": seconds,
            "dlprov:loss:": number(loss),
            "dlprov:val_loss:": number(-9999999),
            "dlprov:epoch:": number(epoch),
        }
    steps = {
        "loaddata": (["raw"], ["data"]),
        "splitdata": (["data", "split"], ["train", "test"]),
        "trainmodel": (["train", "settings"], ["epoch-0", "epoch-1", "model"]),
        "testmodel": (["model", "test"], ["tested"]),
    }
    activities: dict[str, dict[str, Any]] = {
        "run": {"dlprov:exec_tag:": "digits-2024-10-21 16:32:51"}
    }
    activities |= {name: {"dlprov:dt_tag:": name} for name in steps}
    used = [("run", "plan"), *((s, one) for s, (before, _) in steps.items() for one in before)]
    made = [(step, one) for step, (_, after) in steps.items() for one in after]
    return json.dumps(
        {
            "prefix": {"dlprov": "DLProv"},
            "entity": named(entities),
            "activity": named(activities),
            "agent": named({"ann": {"dlprov:email:": "ann@example.org"}}),
            "used": pairs("activity", "entity", used),
            "wasGeneratedBy": pairs("activity", "entity", made),
            "wasInformedBy": pairs("informant", "informed", [("run", step) for step in steps]),
            "wasAssociatedWith": pairs("activity", "agent", [("run", "ann")]),
        },
        indent=1,
    )


def number(one: float) -> dict[str, Any]:
    return {"$": float(one), "type": "xsd:double"}


def named(elements: dict[str, Any]) -> dict[str, Any]:
    return {f"dlprov:{name}": attributes for name, attributes in elements.items()}


def pairs(first: str, second: str, found: list[tuple[str, str]]) -> dict[str, Any]:
    return {
        f"_:{first}{place}": {f"prov:{first}": f"dlprov:{a}", f"prov:{second}": f"dlprov:{b}"}
        for place, (a, b) in enumerate(found)
    }
