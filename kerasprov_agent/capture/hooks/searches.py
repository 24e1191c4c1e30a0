"""KerasTuner: a search, its trials, and which trial a run belongs to."""

from __future__ import annotations

import threading
from typing import Any

from kerasprov_agent.capture.describe import outcomes, searches
from kerasprov_agent.capture.recorder import Recorder
from kerasprov_agent.capture.session import session


class Search:
    """A search in progress, and the trial that it has come to."""

    def __init__(self, recorder: Recorder, search_id: str) -> None:
        self.recorder, self.id = recorder, search_id
        self.trial_id: str | None = None
        self.hyperparameters: Any = None


class _Stack(threading.local):
    def __init__(self) -> None:
        self.searches: list[Search] = []


_stack = _Stack()


def current_trial() -> tuple[str | None, dict[str, Any]]:
    """The id of the trial in progress on this thread, and its hyperparameters as of now."""
    for search in reversed(_stack.searches):
        if search.trial_id is not None:
            return search.trial_id, searches.values(search.hyperparameters)
    return None, {}


def before_search(_wrapped: Any, tuner: Any, _args: Any, _kwargs: Any) -> Search:
    """A search begins."""
    record = session.current()
    search = Search(record, record.searches.started(searches.search(tuner)))
    _stack.searches.append(search)
    return search


def after_search(
    search: Search | None, tuner: Any, _result: Any, exc: BaseException | None
) -> None:
    """A search is over; the space may have grown while models were built."""
    if search is None:
        return
    if search in _stack.searches:
        _stack.searches.remove(search)
    search.recorder.searches.ended(search.id, exc, {"space": searches.space(tuner)})


def before_trial(_wrapped: Any, _tuner: Any, args: Any, kwargs: Any) -> Search | None:
    """A trial begins: the fits that follow on this thread are its."""
    search = _stack.searches[-1] if _stack.searches else None
    trial = args[0] if args else kwargs.get("trial")
    if search is None or trial is None:
        return None
    search.hyperparameters = trial.hyperparameters
    search.trial_id = search.recorder.searches.trial_started(
        search.id, str(trial.trial_id), searches.hyperparameters(trial)
    )
    return search


def after_trial(
    search: Search | None, _tuner: Any, _result: Any, exc: BaseException | None
) -> None:
    """Its fits are over; unless it was broken off, `on_trial_end` comes next."""
    if search is not None and search.trial_id is not None and exc is not None:
        trial_id, search.trial_id = search.trial_id, None
        columns = outcomes.columns(exc)
        search.recorder.searches.trial_ended(
            trial_id, columns["status"], {"message": columns["exception"]}
        )


def before_trial_end(_wrapped: Any, _tuner: Any, args: Any, kwargs: Any) -> Any:
    """Keep the trial at hand until the oracle has given it its score."""
    return args[0] if args else kwargs.get("trial")


def after_trial_end(trial: Any, tuner: Any, _result: Any, _exc: BaseException | None) -> None:
    """The oracle has given the trial its score, or will have it tried again."""
    search = _stack.searches[-1] if _stack.searches else None
    if search is None or search.trial_id is None or trial is None:
        return
    trial_id, search.trial_id, search.hyperparameters = search.trial_id, None, None
    seen = searches.seen_by_oracle(tuner, trial)
    status = "finished" if searches.completed(trial) else "failed"
    search.recorder.searches.trial_ended(trial_id, status, searches.trial(seen))


def forget() -> None:
    """In a forked child: these are the parent's."""
    _stack.searches.clear()
