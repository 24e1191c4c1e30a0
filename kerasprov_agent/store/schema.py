"""The schema of the database: tables for the writer (singular); `views` are for people.

Plain SQL that SQLite 3.25 understands: no STRICT tables and no `->>`, which older programs could
not open. `docs/schema.md` is written from the comments here. Times and outcomes are always known
of what was recorded; of what was imported they may be NULL.
"""

from __future__ import annotations

from kerasprov_agent.store import keras_prov, views
from kerasprov_agent.store.views import RESERVED_COLUMNS

__all__ = [
    "APPLICATION_ID",
    "METRIC_COLUMN_LIMIT",
    "METRIC_NAME_LIMIT",
    "RESERVED_COLUMNS",
    "TABLES",
    "VERSION",
    "VIEWS",
]

APPLICATION_ID = 0x4B505256
"""Marks the file as ours (`PRAGMA application_id`): the letters KPRV."""

VERSION = 6
"""`PRAGMA user_version`. A file with a higher one is left alone."""

VIEWS = views.VIEWS + keras_prov.VIEWS
"""Ours, and those by the names of the ancestor."""

TABLES = """
-- Facts about the file itself.
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value
) WITHOUT ROWID;

-- A text by its content: script, module, notebook cell, difference to a git commit. Stored once.
CREATE TABLE source (
    sha256 TEXT PRIMARY KEY,
    bytes INTEGER NOT NULL,        -- size in UTF-8
    zlib BLOB NOT NULL             -- the text in UTF-8, compressed
);

-- One process of one program: a script, a module, a notebook kernel.
CREATE TABLE execution (
    id TEXT PRIMARY KEY,           -- UUIDv7, sorts by time
    parent_id TEXT,                -- the process that started this one; has it recorded nothing,
                                   -- there is no execution of that id
    job TEXT,                      -- what launched it with others: slurm-12-0, tensorflow-…, ...
    rank INTEGER,                  -- its place in the job, from 0
    world_size INTEGER,            -- processes of the job
    role TEXT,                     -- as the job names it: chief, worker, ...
    label TEXT,                    -- the name its runs get
    tags TEXT,                     -- JSON object
    kind TEXT,                     -- script, module, directory, zip, notebook, interactive,
                                   -- command; import: see that table
    script TEXT,                   -- path, or name of the module; NULL where there is none
    script_sha256 TEXT REFERENCES source (sha256),   -- of the text as it is stored
    script_original_sha256 TEXT,   -- of the file, where secrets were blanked out in its text
    arguments TEXT,                -- JSON array, secrets blanked out
    working_directory TEXT,
    user TEXT,
    orcid TEXT,                    -- setting `orcid`
    host TEXT,
    pid INTEGER,
    process TEXT,                  -- boot id/pid namespace/start ticks: tells whether it still runs
    started_at TEXT,               -- ISO 8601, UTC: when the agent was armed
    ended_at TEXT,
    status TEXT,                   -- running, finished, failed, interrupted
    exit_status INTEGER,           -- known under `python -m kerasprov_agent`, else NULL
    exception_type TEXT,
    exception TEXT,                -- its message
    python TEXT,
    platform TEXT,
    keras_package TEXT,            -- keras, tf_keras
    keras_version TEXT,
    backend TEXT,                  -- tensorflow, jax, torch
    backend_version TEXT,
    agent_version TEXT,
    cpu TEXT,
    cpu_count INTEGER,             -- CPUs that the process may use
    gpus TEXT,                     -- JSON array of names; NULL until a training has begun
    environment TEXT,              -- JSON object, variables on an allow-list
    packages_sha256 TEXT,          -- the set of installed packages, see package
    git_commit TEXT,
    git_branch TEXT,
    git_remote TEXT,
    git_dirty INTEGER,             -- 1: the working tree differs from the commit
    git_diff_sha256 TEXT REFERENCES source (sha256),
    git_diff_original_sha256 TEXT  -- of the difference, where secrets were blanked out in it
);
CREATE INDEX execution_job ON execution (job);

-- What an execution was imported from; without a row here it was recorded.
CREATE TABLE import (
    execution_id TEXT PRIMARY KEY REFERENCES execution (id),
    format TEXT NOT NULL,          -- MonetDB dump, DLProv document, TensorBoard, CSVLogger, MLflow
    path TEXT NOT NULL,            -- the file or folder
    imported_at TEXT NOT NULL,
    repairs TEXT,                  -- JSON array: what was corrected, or is derived
    left_out TEXT,                 -- JSON array: what was not taken, and why
    digest TEXT,                   -- sha256 of what was taken: whether the source has changed
    amount INTEGER,                -- so many values: a part of the source replaces nothing
    covers TEXT                    -- JSON array: ids under which parts of it would be stored
);

-- A file or folder that looks like a record, but could not be read.
CREATE TABLE unread (
    path TEXT PRIMARY KEY,
    format TEXT NOT NULL,
    reason TEXT NOT NULL,
    imported_at TEXT NOT NULL
) WITHOUT ROWID;

-- A module of the program's own that it has imported: outside the interpreter and its packages.
CREATE TABLE module (
    execution_id TEXT NOT NULL REFERENCES execution (id),
    name TEXT NOT NULL,
    path TEXT NOT NULL,
    sha256 TEXT REFERENCES source (sha256),   -- when it was imported, or first seen
    original_sha256 TEXT,          -- of the file, where secrets were blanked out in its text
    PRIMARY KEY (execution_id, name)
) WITHOUT ROWID;

-- A cell of a notebook, in the order in which they ran.
CREATE TABLE cell (
    execution_id TEXT NOT NULL REFERENCES execution (id),
    number INTEGER NOT NULL,       -- as Jupyter counts: In [number]
    sha256 TEXT NOT NULL REFERENCES source (sha256),
    original_sha256 TEXT,          -- of the cell, where secrets were blanked out in it
    PRIMARY KEY (execution_id, number)
) WITHOUT ROWID;

-- The installed packages; executions with the same set share its rows.
CREATE TABLE package (
    packages_sha256 TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    PRIMARY KEY (packages_sha256, name)
) WITHOUT ROWID;

-- A model's structure by content; models built alike share it.
CREATE TABLE architecture (
    id TEXT PRIMARY KEY,           -- sha256 of the description
    class_name TEXT,
    name TEXT,
    config TEXT,                   -- Keras' configuration as JSON; NULL where the class has none
    layers INTEGER,                -- nested ones included
    parameters INTEGER,            -- NULL: described before it was built
    trainable_parameters INTEGER,
    non_trainable_parameters INTEGER,
    activation TEXT,               -- of the hidden layers; NULL when they differ
    dropout REAL                   -- rate of the dropout layers; NULL when they differ
);

CREATE TABLE layer (
    architecture_id TEXT NOT NULL REFERENCES architecture (id),
    position INTEGER NOT NULL,
    name TEXT NOT NULL,            -- of a layer in a nested model: outer/inner
    class_name TEXT,
    activation TEXT,
    dropout_rate REAL,
    units INTEGER,
    filters INTEGER,
    kernel_size TEXT,              -- JSON array
    output_shape TEXT,             -- JSON array, null where open
    parameters INTEGER,
    trainable INTEGER,
    dtype TEXT,                    -- in which it computes
    PRIMARY KEY (architecture_id, position)
) WITHOUT ROWID;

-- A model in one state, a data set that was fed, a file: what the activities below used and made.
CREATE TABLE entity (
    id TEXT PRIMARY KEY,           -- execution id#local name; also its identifier in PROV
    execution_id TEXT NOT NULL REFERENCES execution (id),
    kind TEXT NOT NULL,            -- model, dataset, file, files (a set of them)
    name TEXT,
    class_name TEXT,
    architecture_id TEXT REFERENCES architecture (id),
    samples INTEGER,
    batches INTEGER,
    batch_size INTEGER,            -- of the first batch where the input itself does not tell
    details TEXT,                  -- JSON: steps and files of a tf.data pipeline, settings, columns
    seen_at TEXT NOT NULL          -- when it was first seen
);
CREATE INDEX entity_execution ON entity (execution_id);

-- A file in one version, or a set of files that belong together.
CREATE TABLE file (
    entity_id TEXT PRIMARY KEY REFERENCES entity (id),
    path TEXT NOT NULL,            -- absolute; of a set the directory that its files have in common
    role TEXT,                     -- model, weights, checkpoint, backup, download, ...; data
    files INTEGER,                 -- of a set: how many
    bytes INTEGER,
    modified_at TEXT,
    sha256 TEXT,                   -- of the content; of a set the digest of its manifest
    partial_sha256 TEXT,           -- of parts of it, where it is larger than `hash_size`
    version TEXT,                  -- by which the hash is found again
    written_at TEXT                -- as `generated` tells it; NULL: it was read, or nobody knows
);
CREATE INDEX file_path ON file (path);
CREATE INDEX file_content ON file (sha256, written_at);
CREATE INDEX file_version ON file (version);

-- The files of a set, by what is in them. Stored once.
CREATE TABLE manifest (
    number INTEGER PRIMARY KEY,    -- within this file
    sha256 TEXT NOT NULL UNIQUE,   -- of the lines `<sha256>  <path>` in the order of the paths
    files INTEGER                  -- NULL: its members are still being written down
);

-- What is in a file of a set. Stored once.
CREATE TABLE content (
    number INTEGER PRIMARY KEY,    -- within this file
    bytes INTEGER,
    sha256 TEXT UNIQUE,
    partial_sha256 TEXT UNIQUE     -- of parts of it, where it is larger than `hash_size`
);

-- A file of a set.
CREATE TABLE member (
    manifest INTEGER NOT NULL REFERENCES manifest (number),
    path TEXT NOT NULL,            -- below the set's
    content INTEGER NOT NULL REFERENCES content (number),
    PRIMARY KEY (manifest, path)
) WITHOUT ROWID;
CREATE INDEX member_content ON member (content);

-- The arrays of a data set.
CREATE TABLE array (
    entity_id TEXT NOT NULL REFERENCES entity (id),
    position INTEGER NOT NULL,
    role TEXT NOT NULL,            -- x, y, sample_weight
    path TEXT,                     -- in a nested structure
    class_name TEXT,
    shape TEXT,                    -- JSON array, null where open
    dtype TEXT,
    PRIMARY KEY (entity_id, position)
) WITHOUT ROWID;

-- Model.compile.
CREATE TABLE compile (
    id TEXT PRIMARY KEY,
    execution_id TEXT NOT NULL REFERENCES execution (id),
    model_id TEXT REFERENCES entity (id),
    started_at TEXT,               -- NULL: it was not seen, the model was found compiled
    ended_at TEXT,
    optimizer TEXT,                -- class
    learning_rate REAL,            -- NULL with a schedule, which stands in optimizer_config
    optimizer_config TEXT,         -- JSON object, every value of it
    loss TEXT,
    loss_config TEXT,              -- JSON object of a loss given as an object
    loss_weights TEXT,             -- JSON
    metrics TEXT,                  -- JSON
    weighted_metrics TEXT,         -- JSON
    jit_compile INTEGER,
    steps_per_execution INTEGER,
    run_eagerly INTEGER
);
CREATE INDEX compile_execution ON compile (execution_id);

-- A search for hyperparameters: KerasTuner's Tuner.search.
CREATE TABLE search (
    id TEXT PRIMARY KEY,
    execution_id TEXT NOT NULL REFERENCES execution (id),
    class_name TEXT,               -- RandomSearch, Hyperband, ...
    name TEXT,                     -- the tuner's project_name
    directory TEXT,                -- where the tuner keeps its files
    objective TEXT,
    direction TEXT,                -- min, max
    settings TEXT,                 -- JSON object: the tuner's and its oracle's
    space TEXT,                    -- JSON array: the hyperparameters and their ranges
    status TEXT,                   -- running, finished, failed, interrupted
    exception_type TEXT,
    exception TEXT,
    started_at TEXT,
    ended_at TEXT
);
CREATE INDEX search_execution ON search (execution_id);

-- One trial of a search; tried again after a fault it is another row.
CREATE TABLE trial (
    id TEXT PRIMARY KEY,
    search_id TEXT NOT NULL REFERENCES search (id),
    name TEXT NOT NULL,            -- KerasTuner's trial_id
    hyperparameters TEXT,          -- JSON object; also as params of its runs, source trial
    status TEXT,                   -- running, finished, failed, interrupted
    message TEXT,                  -- KerasTuner's, of a trial that failed
    score REAL,                    -- of the objective
    best_step INTEGER,             -- KerasTuner's: the epoch of that score
    started_at TEXT,
    ended_at TEXT
);
CREATE INDEX trial_search ON trial (search_id);

-- One training: a fit(), or a loop of the program's own.
CREATE TABLE run (
    number INTEGER PRIMARY KEY,    -- within this file; what people type
    id TEXT NOT NULL UNIQUE,       -- execution id#fit-n; the same in every file
    execution_id TEXT NOT NULL REFERENCES execution (id),
    parent_id TEXT,                -- the run within which this one was started
    trial_id TEXT REFERENCES trial (id),   -- the trial of a search that it belongs to
    caller TEXT,                   -- module that called: __main__, scikeras.wrappers, ...
    cell INTEGER,                  -- of a notebook, that called
    kind TEXT NOT NULL,            -- fit, train_on_batch, loop (of the program over an optimizer)
    label TEXT NOT NULL,           -- setting `name`, or the script's name
    name TEXT NOT NULL UNIQUE,     -- the label, with a number where it was taken
    status TEXT,                   -- running, finished, failed, interrupted
    exception_type TEXT,
    exception TEXT,
    started_at TEXT,
    training_started_at TEXT,      -- data prepared, model built, first epoch about to begin
    ended_at TEXT,
    compile_id TEXT REFERENCES compile (id),
    architecture_id TEXT REFERENCES architecture (id),
    initial_model_id TEXT REFERENCES entity (id),
    trained_model_id TEXT REFERENCES entity (id),
    training_data_id TEXT REFERENCES entity (id),
    validation_data_id TEXT REFERENCES entity (id),
    validation_source TEXT,        -- validation_data, validation_split; NULL: none
    samples INTEGER,               -- trained on in an epoch, after a validation split
    validation_samples INTEGER,
    optimizer TEXT,                -- class of the one that trained it; several with commas between
    learning_rate REAL,            -- in force when it began; NULL with a schedule, or several
    loss TEXT,
    batch_size INTEGER,
    steps INTEGER,                 -- of a train_on_batch run, or a loop; NULL: not known
    steps_per_epoch INTEGER,
    epochs_planned INTEGER,
    epochs_finished INTEGER,       -- NULL while it runs: count the rows of epoch
    stopped_early INTEGER,         -- 1: fit returned before the planned epochs were over
    note TEXT,                     -- what a person says of it: `kerasprov note`
    tags TEXT                      -- JSON object: of this run; null takes out one of its program
);
CREATE INDEX run_execution ON run (execution_id);
CREATE INDEX run_label ON run (label);

-- Every argument and hyperparameter of a run, under the place it came from.
CREATE TABLE param (
    run_id TEXT NOT NULL REFERENCES run (id),
    source TEXT NOT NULL,          -- argument, fit, optimizer, seed, trial, keras, ...
    name TEXT NOT NULL,
    value,                         -- as Python had it; lists and dicts as JSON
    PRIMARY KEY (run_id, source, name)
) WITHOUT ROWID;

-- The optimizers of a run; more than one where the model's own train_step has several.
CREATE TABLE optimizer (
    run_id TEXT NOT NULL REFERENCES run (id),
    position INTEGER NOT NULL,
    attribute TEXT,                -- of the model that holds it; NULL: the program holds it itself
    class_name TEXT NOT NULL,
    name TEXT,
    config TEXT,                   -- JSON object, every value of it
    learning_rate REAL,            -- NULL with a schedule
    constructed_at TEXT,           -- NULL: before the agent was armed
    constructed_in TEXT,           -- file:line of the program
    variables TEXT,                -- JSON array of paths: what it trains; NULL until it is built
    iterations_before INTEGER,     -- its own counter when the run began ...
    iterations_after INTEGER,      -- ... and ended; the same: it was there, but not used
    PRIMARY KEY (run_id, position)
) WITHOUT ROWID;

-- A hyperparameter that was altered while a run trained. What a schedule does stands in epoch.
CREATE TABLE change (
    run_id TEXT NOT NULL REFERENCES run (id),
    position INTEGER NOT NULL,
    epoch INTEGER,                 -- NULL: before the first, or in a loop without epochs
    at TEXT,                       -- when it was seen
    name TEXT NOT NULL,            -- learning_rate, loss_scale, ...
    old,
    new,
    by TEXT,                       -- class of the callback, or file:line; NULL: not known
    PRIMARY KEY (run_id, position)
) WITHOUT ROWID;

-- What a callback or the program did to a run.
CREATE TABLE event (
    run_id TEXT NOT NULL REFERENCES run (id),
    position INTEGER NOT NULL,
    epoch INTEGER,                 -- NULL: before the first
    at TEXT NOT NULL,
    kind TEXT NOT NULL,            -- early_stopping, weights_restored, nan, stopped, resumed, saved
    by TEXT,                       -- class of the callback, or file:line; NULL: not known
    details TEXT,                  -- JSON object
    PRIMARY KEY (run_id, position)
) WITHOUT ROWID;

CREATE TABLE callback (
    run_id TEXT NOT NULL REFERENCES run (id),
    position INTEGER NOT NULL,
    class_name TEXT NOT NULL,
    settings TEXT,                 -- JSON object
    PRIMARY KEY (run_id, position)
) WITHOUT ROWID;

-- One epoch of a run. A REAL column is added for each metric when it is first seen.
CREATE TABLE epoch (
    run INTEGER NOT NULL REFERENCES run (number),
    epoch INTEGER NOT NULL,        -- counted from 0, as Keras does
    started_at REAL,               -- seconds since 1970 UTC, before the callbacks' on_epoch_begin
    train_seconds REAL,            -- until the device has finished the last training step
    validation_seconds REAL,       -- NULL: no validation in this epoch
    callback_seconds REAL,         -- in the callbacks' on_epoch_begin and on_epoch_end
    first_step_seconds REAL,       -- until the first step returned; tracing and compiling show here
    whole_seconds REAL,            -- of an imported epoch all its time, parts of it not told apart
    synchronized INTEGER,          -- 1: the device was waited for where a clock was read
    steps INTEGER,
    learning_rate REAL,            -- in force during the epoch, after on_epoch_begin
    learning_rate_after REAL,      -- after the callbacks' on_epoch_end
    gpu_allocated_seconds REAL,    -- seconds times GPUs in use; this and the rest NULL without one
    gpu_busy_seconds REAL,         -- a kernel ran, by NVML; NULL under 2 s, on MIG, without pynvml
    gpu_source TEXT,               -- of the busy seconds: gpm, nvml samples or nvml poll
    gpu_utilization REAL,          -- of 0 to 1: busy of the allocated seconds
    gpu_energy_joules REAL,        -- of whole devices, by NVML; NULL under 2 s
    gpu_memory_peak_bytes INTEGER, -- most that the backend held on one GPU since the program began
    nonfinite TEXT,                -- JSON: metrics that were NaN, which SQLite turns into NULL
    more TEXT,                     -- JSON: what Keras reported that has no column
    PRIMARY KEY (run, epoch)
) WITHOUT ROWID;

-- Which column holds which metric: SQLite does not tell `Recall` from `recall`.
CREATE TABLE metric (
    name TEXT PRIMARY KEY,
    column_name TEXT NOT NULL
) WITHOUT ROWID;

-- Model.evaluate, with the values it returned in a REAL column a metric.
CREATE TABLE evaluation (
    id TEXT PRIMARY KEY,
    execution_id TEXT NOT NULL REFERENCES execution (id),
    run_id TEXT REFERENCES run (id),   -- the training whose model was tested; NULL: none was seen
    epoch INTEGER,                 -- evaluated within that run, in this epoch
    model_id TEXT REFERENCES entity (id),
    data_id TEXT REFERENCES entity (id),
    status TEXT,                   -- running, finished, failed, interrupted
    exception_type TEXT,
    exception TEXT,
    started_at TEXT,
    ended_at TEXT,
    batch_size INTEGER,
    steps INTEGER,
    nonfinite TEXT,
    more TEXT
);
CREATE INDEX evaluation_run ON evaluation (run_id);
CREATE INDEX evaluation_execution ON evaluation (execution_id);

-- What else was done: many calls of predict or the like on one state of a model are one row.
CREATE TABLE activity (
    id TEXT PRIMARY KEY,
    execution_id TEXT NOT NULL REFERENCES execution (id),
    run_id TEXT REFERENCES run (id),   -- the training whose model it was; NULL: none was seen
    kind TEXT NOT NULL,            -- predict, predict_on_batch, test_on_batch, save, save_weights,
                                   -- export, load, load_weights; step: told by the program
    name TEXT,                     -- of a step, as the program calls it
    epoch INTEGER,                 -- in which the run saved the model
    by TEXT,                       -- what called: ModelCheckpoint, ...; file:line
    attributes TEXT,               -- JSON object: what the program tells of a step
    status TEXT,                   -- running, finished, failed, interrupted; NULL of many calls
    exception_type TEXT,
    exception TEXT,
    model_id TEXT REFERENCES entity (id),
    data_id TEXT REFERENCES entity (id),   -- what the first call was given
    calls INTEGER,                 -- so many of predict or the like
    seconds REAL,                  -- in these calls, all together
    started_at TEXT,               -- of the first call
    ended_at TEXT                  -- of the last call
);
CREATE INDEX activity_execution ON activity (execution_id);

-- The edges of PROV: which activity (compile, run, evaluation, ...) ...
CREATE TABLE used (
    activity_id TEXT NOT NULL,
    entity_id TEXT NOT NULL REFERENCES entity (id),
    role TEXT NOT NULL,            -- initial_model, model, training_data, validation_data, ...
    at TEXT,
    PRIMARY KEY (activity_id, entity_id, role)
) WITHOUT ROWID;
CREATE INDEX used_entity ON used (entity_id);

CREATE TABLE generated (
    entity_id TEXT PRIMARY KEY REFERENCES entity (id),
    activity_id TEXT NOT NULL,
    at TEXT
) WITHOUT ROWID;
CREATE INDEX generated_activity ON generated (activity_id);

-- The time stands beside the content too: one index then leads from a file that was read to the
-- one that was written last before, however often the same content is read.
CREATE TRIGGER file_written AFTER INSERT ON generated BEGIN
    UPDATE file SET written_at = NEW.at WHERE entity_id = NEW.entity_id;
END;
CREATE TRIGGER file_not_written AFTER DELETE ON generated BEGIN
    UPDATE file SET written_at = NULL WHERE entity_id = OLD.entity_id;
END;

CREATE TABLE derived (
    entity_id TEXT NOT NULL REFERENCES entity (id),
    source_id TEXT NOT NULL REFERENCES entity (id),
    activity_id TEXT,
    confidence TEXT,               -- NULL: by what was done; else how it is known, see docs/lineage
    PRIMARY KEY (entity_id, source_id)
) WITHOUT ROWID;
CREATE INDEX derived_source ON derived (source_id);
"""

METRIC_COLUMN_LIMIT = 500
"""So many metrics get a column of their own; further ones go to `more` as JSON."""
METRIC_NAME_LIMIT = 500
"""A metric whose name has more characters goes there too."""
