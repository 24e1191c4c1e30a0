"""The tables of Keras-Prov as views: its names and columns, so that its questions are answered.

What it called an execution of a dataflow is a run here, since it took one training in each; the
identifiers of its tasks are the numbers of the runs. Times are seconds since 1970.
"""

VIEWS = """
-- Keras-Prov: one row a run; `df_id` is the same for runs of one label.
CREATE VIEW dataflow_execution AS
SELECT
    r.number AS id, r.id AS uuid, r.label || '-' || replace(substr(r.started_at, 1, 26), 'T', ' ')
        AS tag,
    (SELECT min(x.number) FROM run x WHERE x.label = r.label) AS df_id,
    r.number AS trainingmodel_task_id
FROM run r;

-- Keras-Prov: one row a run with its hyperparameters.
CREATE VIEW ds_itrainingmodel AS
SELECT
    r.number AS id, r.number AS trainingmodel_task_id,
    (julianday(r.started_at) - 2440587.5) * 86400.0 AS itrain_timestamp,
    r.optimizer AS optimizer_name, r.learning_rate,
    (SELECT max(p.value) FROM param p WHERE p.run_id = r.id
        AND p.source IN ('optimizer', 'import') AND p.name = 'decay') AS decay,
    (SELECT max(p.value) FROM param p WHERE p.run_id = r.id
        AND p.source IN ('optimizer', 'import') AND p.name = 'momentum') AS momentum,
    r.epochs_planned AS num_epochs, r.batch_size, a.layers AS num_layers,
    a.activation, a.dropout
FROM run r LEFT JOIN architecture a ON a.id = r.architecture_id;

-- Keras-Prov: one row an activation or a dropout of a layer of a run's model.
CREATE VIEW ds_ilayers AS
SELECT
    row_number() OVER (ORDER BY r.number, l.position) AS id, r.number AS trainingmodel_task_id,
    (julianday(r.started_at) - 2440587.5) * 86400.0 AS iltimestamp,
    l.name, k.name AS attribute_type,
    CASE k.name WHEN 'activation' THEN l.activation ELSE CAST(l.dropout_rate AS TEXT) END AS value
FROM run r
JOIN layer l ON l.architecture_id = r.architecture_id
JOIN (SELECT 'activation' AS name UNION ALL SELECT 'dropout') k
    ON CASE k.name WHEN 'activation' THEN l.activation IS NOT NULL
       ELSE l.dropout_rate IS NOT NULL END;

-- Keras-Prov: one row an epoch, with a column a metric; its time is when it was over, before the
-- callbacks.
CREATE VIEW ds_otrainingmodel AS
SELECT
    row_number() OVER (ORDER BY p.run, p.epoch) AS id, r.number AS trainingmodel_task_id,
    CASE WHEN EXISTS (
        SELECT 1 FROM change c WHERE c.run_id = r.id AND c.name = 'learning_rate'
    ) OR EXISTS (
        SELECT 1 FROM param s WHERE s.run_id = r.id AND s.source = 'optimizer'
        AND s.name = 'learning_rate.class_name'
    ) THEN r.number END AS adaptation_task_id,
    CASE WHEN EXISTS (SELECT 1 FROM evaluation v WHERE v.run_id = r.id) THEN r.number END
        AS testingmodel_task_id,
    p.started_at + coalesce(p.train_seconds + coalesce(p.validation_seconds, 0), p.whole_seconds)
        AS otrain_timestamp,
    coalesce(p.train_seconds + coalesce(p.validation_seconds, 0), p.whole_seconds) AS elapsed_time,
    p.epoch AS epoch_id, p.*
FROM epoch p JOIN run r ON r.number = p.run;

-- Keras-Prov: one row a change of the learning rate.
CREATE VIEW ds_oadaptation AS
SELECT
    row_number() OVER (ORDER BY c.run, c.at) AS id, c.run AS adaptation_task_id,
    c.new AS new_lrate, (julianday(c.at) - 2440587.5) * 86400.0 AS atimestamp, c.epoch AS epoch_id,
    row_number() OVER (PARTITION BY c.run ORDER BY c.at) AS adaptation_id
FROM changes c WHERE c.name = 'learning_rate';

-- Keras-Prov: one row a test; the run whose model was tested is NULL where none was seen.
CREATE VIEW ds_otestingmodel AS
SELECT
    row_number() OVER (ORDER BY v.started_at) AS id,
    (SELECT r.number FROM run r WHERE r.id = v.run_id) AS testingmodel_task_id,
    (julianday(v.ended_at) - 2440587.5) * 86400.0 AS otest_timestamp,
    (SELECT loss FROM evaluation m WHERE m.id = v.id) AS otest_loss,
    (SELECT accuracy FROM evaluation m WHERE m.id = v.id) AS otest_accuracy
FROM evaluation v
CROSS JOIN (SELECT CAST(NULL AS DOUBLE PRECISION) AS loss,
            CAST(NULL AS DOUBLE PRECISION) AS accuracy) unknown
WHERE coalesce(v.status, 'finished') = 'finished';
"""
"""In `ds_otestingmodel` a name that `evaluation` has no column for is NULL, from `unknown`."""
