"""The questions of `docs/questions.md`, as examples to edit."""

# ruff: noqa: E501

from __future__ import annotations

EXAMPLES: tuple[tuple[str, str], ...] = (
    (
        "Epochs whose validation loss is below 0.5",
        "epoch, accuracy, loss, val_loss where val_loss < 0.5",
    ),
    ("What was the loss of epoch 10 of a training?", "loss where run = 1 and epoch = 10"),
    (
        "Which layers has its model?",
        "layers.position, layers.name, layers.activation, layers.dropout_rate where run = 1 order by layers.position",
    ),
    (
        "What did each epoch take, and what was its loss?",
        "epoch, seconds, loss where run = 2 and epoch < 3 order by epoch",
    ),
    (
        "Was the learning rate adapted in the best training: when, by what, to what?",
        "changes.epoch, changes.old, changes.new, changes.by where changes.name = 'learning_rate' and run = 3",
    ),
    (
        "Accuracy and losses of each epoch with a validation loss below a limit",
        "epoch, accuracy, loss, val_loss where run = 3 and val_loss < 2 order by epoch",
    ),
    ("All that is known of each epoch", "epochs.* where run = 4"),
    (
        "Its hyperparameters, training metrics and test metrics",
        "params.name, params.value where run = 1 order by params.name",
    ),
    (
        "Its hyperparameters, training metrics and test metrics",
        "epoch, loss, accuracy where run = 1 and epoch >= 10 order by epoch",
    ),
    (
        "Its hyperparameters, training metrics and test metrics",
        "evaluations.loss, evaluations.accuracy where run = 1",
    ),
    (
        "Its mean loss, and the mean time of its epochs",
        "avg(epochs.loss), avg(epochs.seconds) where run = 4",
    ),
    ("Which activity generated the test metrics?", "evaluations.id where run = 1"),
    ("Who ran it, on which machine, with what?", "run, user, host, backend where run = 4"),
    (
        "What did each round come to, when was something adjusted, when was a checkpoint written?",
        "epoch, val_accuracy where run = 3 and epoch > 8 order by epoch",
    ),
    (
        "What did each round come to, when was something adjusted, when was a checkpoint written?",
        "changes.epoch, changes.name where run = 3",
    ),
    (
        "What did each round come to, when was something adjusted, when was a checkpoint written?",
        "activities.epoch, activities.by where run = 5 and activities.kind = 'save' order by activities.epoch",
    ),
    (
        "The initial learning rate of the most accurate training",
        "run, learning_rate, epoch, val_accuracy order by val_accuracy desc limit 1",
    ),
    (
        "The hyperparameters of the best three",
        "run, epoch, val_accuracy, optimizer, learning_rate, batch_size, activation, dropout order by val_accuracy desc limit 3",
    ),
    (
        "Which filter was applied where dropout was 0.4?",
        "steps.value, count(run) where steps.attribute = 'filter_name' and dropout = 0.4",
    ),
    (
        "Filter and number of epochs of the best and the worst training",
        "run, evaluations.accuracy, steps.value, epochs where steps.attribute = 'filter_name' order by evaluations.accuracy desc",
    ),
    (
        "The best accuracy and loss of each activation function",
        "activation, max(val_accuracy), min(val_loss) where activation is not null",
    ),
    (
        "The epochs with the best validation accuracy, with hyperparameters and time",
        "run, epoch, val_accuracy, optimizer, dropout, seconds order by val_accuracy desc limit 2",
    ),
    (
        "The mean time of an epoch with each optimizer",
        "optimizer, avg(epochs.seconds) where run <= 3",
    ),
    (
        "Accuracy and loss over the epochs for each dropout and learning rate",
        "runs.dropout, runs.learning_rate, epoch, avg(accuracy), avg(loss) where epoch = 11 order by runs.dropout, runs.learning_rate",
    ),
    (
        "Which filter was applied where dropout was below a limit?",
        "run, dropout, steps.value where steps.attribute = 'filter_name' and dropout < 0.5 order by run",
    ),
    (
        "Which programs ran, and how many trainings were in each?",
        "executions.name, executions.started_at, executions.runs where executions.kind = 'import' order by executions.started_at",
    ),
    (
        "Compare candidates before one is deployed",
        "run, optimizer, learning_rate, dropout where run <= 3 order by run",
    ),
    (
        "Whose accuracy stayed below a limit; how much did it change at the end; whose epochs differ in time?",
        "run, max(epochs.accuracy), max(epochs.seconds), min(epochs.seconds)",
    ),
    (
        "Which steps came before the training, and which of them made which files?",
        "steps.step, steps.attribute, steps.value where run = 4 and steps.attribute is not null order by steps.id, steps.attribute",
    ),
    (
        "Which steps came before the training, and which of them made which files?",
        "files.made_by, files.path where run = 4 and files.made_by is not null order by files.path",
    ),
    ("What was made of the input data, up to the model?", "@/data/digits"),
    ("The shortest path from the test metrics to the loaded data", "@last"),
    ("The whole path from the tested model to the original data", "@last"),
    ("How were the data processed that a model was trained with, file by file?", "@last"),
)
"""Titles and questions; a question that begins with `@` is asked of the page of lineage."""
