"""The views of the database: plural, made for people, hyperparameters as columns."""

EPOCH_SECONDS = "coalesce(train_seconds + coalesce(validation_seconds, 0), whole_seconds)"
"""How long an epoch took, the callbacks apart."""

VIEWS = """
-- One row a process.
CREATE VIEW executions AS
SELECT
    e.started_at, e.status, e.label AS name, e.kind, e.script, e.arguments, e.ended_at,
    (SELECT count(*) FROM run r WHERE r.execution_id = e.id) AS runs,
    e.exception_type, e.exception, e.exit_status, e.user, e.host, e.pid, e.working_directory,
    e.python, e.keras_package, e.keras_version, e.backend, e.backend_version, e.cpu, e.gpus,
    e.git_commit, e.git_branch, e.git_dirty, e.tags, e.job, e.rank, e.world_size, e.role,
    e.parent_id, e.id
FROM execution e;

-- One row a job: the executions that one launcher started together.
CREATE VIEW jobs AS
SELECT
    e.job, min(e.started_at) AS started_at, count(*) AS executions, max(e.world_size) AS world_size,
    (SELECT count(*) FROM run r JOIN execution x ON x.id = r.execution_id WHERE x.job = e.job)
        AS runs,
    group_concat(e.id) AS execution_ids
FROM execution e WHERE e.job IS NOT NULL GROUP BY e.job;

-- One row a training, its hyperparameters as columns.
CREATE VIEW runs AS
SELECT
    r.number AS run, r.name, r.kind, r.status, r.started_at,
    (julianday(r.ended_at) - julianday(r.started_at)) * 86400.0 AS seconds,
    a.class_name AS model, r.optimizer, r.learning_rate, r.batch_size,
    r.epochs_planned AS epochs,
    CASE r.kind WHEN 'fit'
        THEN coalesce(r.epochs_finished, (SELECT count(*) FROM epoch p WHERE p.run = r.number))
    END AS epochs_finished,
    r.stopped_early, r.steps, r.loss,
    coalesce(a.activation, (SELECT p.value FROM param p WHERE p.run_id = r.id AND
        p.source = 'import' AND lower(p.name) IN ('activation', 'activation_function')))
        AS activation,
    coalesce(a.dropout, (SELECT p.value FROM param p WHERE p.run_id = r.id AND
        p.source = 'import' AND lower(p.name) IN ('dropout', 'dropout_rate')
        AND typeof(p.value) IN ('real', 'integer'))) AS dropout,
    a.layers, a.parameters,
    r.samples, r.validation_samples, r.validation_source, r.steps_per_epoch,
    e.script,
    coalesce((SELECT p.value FROM param p WHERE p.run_id = r.id AND p.source = 'keras'
              AND p.name = 'backend'), e.backend) AS backend,
    coalesce((SELECT p.value FROM param p WHERE p.run_id = r.id AND p.source = 'keras'
              AND p.name = 'version'), e.keras_version) AS keras_version,
    e.host, e.user, e.git_commit,
    CASE WHEN r.tags IS NULL THEN e.tags
         ELSE nullif(json_patch(coalesce(e.tags, '{}'), r.tags), '{}') END AS tags,
    e.job, e.rank,
    r.exception_type, r.exception, r.ended_at, r.label, r.caller, r.trial_id,
    i.format AS imported_from, r.note, r.id, r.execution_id
FROM run r
JOIN execution e ON e.id = r.execution_id
LEFT JOIN import i ON i.execution_id = e.id
LEFT JOIN architecture a ON a.id = r.architecture_id;

-- One row a search for hyperparameters.
CREATE VIEW searches AS
SELECT
    s.started_at, s.status, s.class_name, s.name, s.objective, s.direction,
    (SELECT count(*) FROM trial t WHERE t.search_id = s.id) AS trials,
    (SELECT CASE s.direction WHEN 'max' THEN max(t.score) ELSE min(t.score) END
     FROM trial t WHERE t.search_id = s.id) AS best_score,
    (julianday(s.ended_at) - julianday(s.started_at)) * 86400.0 AS seconds,
    s.settings, s.space, s.directory, s.exception_type, s.exception, s.id, s.execution_id
FROM search s;

-- One row a trial of a search, with the runs that it took.
CREATE VIEW trials AS
SELECT
    s.name AS search, t.name AS trial, t.status, t.score, s.objective, s.direction,
    t.hyperparameters, t.best_step,
    (SELECT count(*) FROM run r WHERE r.trial_id = t.id) AS runs,
    (SELECT group_concat(r.number) FROM run r WHERE r.trial_id = t.id) AS run_numbers,
    (julianday(t.ended_at) - julianday(t.started_at)) * 86400.0 AS seconds,
    t.message, t.started_at, t.id, t.search_id
FROM trial t JOIN search s ON s.id = t.search_id;

-- One row an epoch: the run's hyperparameters, times in seconds, then a column a metric.
CREATE VIEW epochs AS
SELECT
    r.name, r.optimizer, r.loss AS loss_function, r.batch_size, a.activation, a.dropout, a.layers,
    a.class_name AS model,
    strftime('%Y-%m-%dT%H:%M:%fZ', p.started_at, 'unixepoch') AS started,
    coalesce(p.train_seconds + coalesce(p.validation_seconds, 0), p.whole_seconds) AS seconds,
    p.*
FROM epoch p
JOIN run r ON r.number = p.run
LEFT JOIN architecture a ON a.id = r.architecture_id;

-- One row an evaluation: which run's model was tested, on what, then a column a metric.
CREATE VIEW evaluations AS
SELECT
    r.number AS run, r.name, r.optimizer, a.activation, d.samples,
    (julianday(v.ended_at) - julianday(v.started_at)) * 86400.0 AS seconds,
    v.*
FROM evaluation v
LEFT JOIN run r ON r.id = v.run_id
LEFT JOIN architecture a ON a.id = r.architecture_id
LEFT JOIN entity d ON d.id = v.data_id;

-- One row a layer of a run's model.
CREATE VIEW layers AS
SELECT r.number AS run, r.name AS run_name, l.*
FROM run r JOIN layer l ON l.architecture_id = r.architecture_id;

-- One row an argument or hyperparameter of a run.
CREATE VIEW params AS
SELECT r.number AS run, r.name AS run_name, p.source, p.name, p.value
FROM run r JOIN param p ON p.run_id = r.id;

-- One row a callback of a run.
CREATE VIEW callbacks AS
SELECT r.number AS run, r.name AS run_name, c.position, c.class_name, c.settings
FROM run r JOIN callback c ON c.run_id = r.id;

-- One row a hyperparameter that was altered, epoch by epoch where a schedule does it.
CREATE VIEW changes AS
SELECT r.number AS run, r.name AS run_name, c.epoch, c.at, c.name, c.old, c.new, c.by
FROM change c JOIN run r ON r.id = c.run_id
UNION ALL
SELECT
    r.number, r.name, p.epoch,
    strftime('%Y-%m-%dT%H:%M:%fZ', p.started_at, 'unixepoch'),
    'learning_rate', p.learning_rate, p.learning_rate_after, s.value
FROM epoch p
JOIN run r ON r.number = p.run
JOIN param s ON s.run_id = r.id AND s.source = 'optimizer' AND s.name = 'learning_rate.class_name'
WHERE p.learning_rate <> p.learning_rate_after;

-- One row a thing that a callback or the program did to a run.
CREATE VIEW events AS
SELECT r.number AS run, r.name AS run_name, e.epoch, e.at, e.kind, e.by, e.details
FROM event e JOIN run r ON r.id = e.run_id;

-- One row an optimizer of a run.
CREATE VIEW optimizers AS
SELECT r.number AS run, r.name AS run_name, o.*
FROM optimizer o JOIN run r ON r.id = o.run_id;

-- One row a use of a model: many calls of predict on one state of it are one row.
CREATE VIEW activities AS
SELECT r.number AS run, r.name AS run_name, v.*
FROM activity v LEFT JOIN run r ON r.id = v.run_id;

-- One row an attribute of a step that the program told of, or an import; of one without any a row.
CREATE VIEW steps AS
SELECT
    r.number AS run, r.name AS run_name, v.name AS step, j.key AS attribute, j.value, v.status,
    v.started_at, v.ended_at, v.id, v.execution_id
FROM activity v
LEFT JOIN run r ON r.execution_id = v.execution_id
LEFT JOIN json_each(v.attributes) j
WHERE v.kind = 'step';

-- One row an array that was fed to a run.
CREATE VIEW inputs AS
SELECT
    r.number AS run, r.name AS run_name, u.role AS used_as, a.role, a.path, a.class_name, a.shape,
    a.dtype, e.samples, e.batches, e.batch_size, e.details
FROM run r
JOIN used u ON u.activity_id = r.id
JOIN entity e ON e.id = u.entity_id AND e.kind = 'dataset'
LEFT JOIN array a ON a.entity_id = e.id;

-- One row a file in one version, or a set of files: what made it, what used it.
CREATE VIEW files AS
SELECT
    f.path, f.role, f.files, f.bytes, f.modified_at, f.sha256, f.partial_sha256,
    g.activity_id AS generated_by, g.at AS generated_at,
    coalesce(
        (SELECT coalesce(v.name, v.kind) FROM activity v WHERE v.id = g.activity_id),
        (SELECT r.kind FROM run r WHERE r.id = g.activity_id)
    ) AS made_by,
    (SELECT group_concat(u.activity_id) FROM used u WHERE u.entity_id = f.entity_id) AS used_by,
    x.label AS execution, x.script, x.host, e.kind, f.entity_id AS id, e.execution_id
FROM file f
JOIN entity e ON e.id = f.entity_id
JOIN execution x ON x.id = e.execution_id
LEFT JOIN generated g ON g.entity_id = f.entity_id;

-- One row a file of a set.
CREATE VIEW members AS
SELECT
    f.entity_id AS set_id, f.path AS directory, m.path, c.bytes, c.sha256, c.partial_sha256
FROM file f
JOIN entity e ON e.id = f.entity_id AND +e.kind = 'files'
JOIN manifest n ON n.sha256 = f.sha256
JOIN member m ON m.manifest = n.number
JOIN content c ON c.number = m.content;

-- One row a step of lineage: what `id` came of, by which activity, and how that is known. A file
-- that was read comes of the latest file of the same content that was written before, anywhere;
-- one without any content of none.
CREATE VIEW lineage AS
SELECT d.entity_id AS id, d.source_id, d.activity_id, coalesce(d.confidence, 'done') AS confidence
FROM derived d
UNION ALL
SELECT f.entity_id, o.entity_id, NULL, 'same_content'
FROM file f
JOIN entity e ON e.id = f.entity_id
JOIN file o ON o.sha256 = f.sha256 AND o.entity_id = (
    SELECT p.entity_id FROM file p
    WHERE p.sha256 = f.sha256 AND p.entity_id <> f.entity_id AND p.written_at <= e.seen_at
    ORDER BY p.written_at DESC LIMIT 1
)
WHERE f.bytes IS NOT 0
    AND NOT EXISTS (SELECT 1 FROM derived d WHERE d.entity_id = f.entity_id)
UNION ALL
SELECT DISTINCT m.set_id, o.entity_id, NULL, 'same_content'
FROM members m
JOIN entity e ON e.id = m.set_id
JOIN file s ON s.entity_id = m.set_id AND s.written_at IS NULL
JOIN file o ON o.sha256 = m.sha256 AND o.written_at <= e.seen_at
WHERE m.bytes IS NOT 0
UNION ALL
SELECT DISTINCT f.entity_id, o.entity_id, NULL, 'same_content'
FROM file f
JOIN entity e ON e.id = f.entity_id AND +e.kind = 'file'
JOIN content c ON c.sha256 = f.sha256
JOIN member w ON w.content = c.number
JOIN manifest k ON k.number = w.manifest
JOIN file o ON o.sha256 = k.sha256 AND o.written_at <= e.seen_at
WHERE f.bytes IS NOT 0 AND f.written_at IS NULL
UNION ALL
SELECT DISTINCT s.entity_id, o.entity_id, NULL, 'same_content'
FROM file s
JOIN entity e ON e.id = s.entity_id
JOIN manifest j ON j.sha256 = s.sha256
JOIN member m ON m.manifest = j.number
JOIN member w ON w.content = m.content AND w.manifest <> m.manifest
JOIN manifest k ON k.number = w.manifest
JOIN file o ON o.sha256 = k.sha256 AND o.written_at <= e.seen_at
WHERE s.written_at IS NULL
    AND NOT EXISTS (SELECT 1 FROM content c WHERE c.number = m.content AND c.bytes IS 0);

-- One row an execution that was imported, with what was corrected and left out; and one a file
-- that could not be read.
CREATE VIEW imports AS
SELECT
    e.label AS name, i.format, i.path, i.imported_at, i.repairs, i.left_out,
    (SELECT group_concat(r.number) FROM run r WHERE r.execution_id = e.id) AS runs, i.execution_id
FROM import i JOIN execution e ON e.id = i.execution_id
UNION ALL
SELECT NULL, u.format, u.path, u.imported_at, NULL, json_array(u.reason), NULL, NULL FROM unread u;

-- One row an installed package of an execution.
CREATE VIEW packages AS
SELECT e.id AS execution_id, e.label AS execution, p.name, p.version
FROM execution e JOIN package p ON p.packages_sha256 = e.packages_sha256;
"""

RESERVED_COLUMNS = frozenset(
    [
        "run",
        "run_id",
        "name",
        "optimizer",
        "loss_function",
        "batch_size",
        "activation",
        "dropout",
        "layers",
        "model",
        "started",
        "seconds",
        "epoch",
        "samples",
        "id",
        "epoch_id",
        "elapsed_time",
        "otrain_timestamp",
        "trainingmodel_task_id",
        "adaptation_task_id",
        "testingmodel_task_id",
    ]
)
"""Names that the views give to something else; a metric of that name gets another column."""
