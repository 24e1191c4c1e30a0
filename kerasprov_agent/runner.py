"""Be `python`: run a script, a module, a directory or a zip file as the interpreter would.

Same stdout, stderr, exit status, `sys.argv`, `sys.path[0]` and `__main__`, and `__main__` stays
after the program's last line, so that its classes still pickle from threads and at exit.
(`runpy.run_path` puts the old `__main__` back.) Nothing here may import multiprocessing, which
would keep our own `__main__` for its children.
"""

from __future__ import annotations

import io
import os
import runpy
import sys
from importlib.machinery import SourceFileLoader
from pkgutil import get_importer
from types import ModuleType, TracebackType

from kerasprov_agent import guard, identity, settings

USAGE = "usage: python -m kerasprov_agent [options] (SCRIPT | DIR | ZIP | -m MODULE) [ARGS…]"
COMMANDS = frozenset(("runs", "show", "prov", "path", "config"))


def main() -> None:
    """Run what the command line names, and end as `python` would have ended."""
    try:
        _run(_our_options(sys.argv[1:]))
    except SystemExit as exc:
        _tell_process(exc)
        raise
    except BaseException as exc:
        _tell_process(exc)
        _report(exc)
        raise


def _our_options(words: list[str]) -> list[str]:
    """Take our own options off the front; what follows belongs to the program, whatever it is."""
    table = {setting.option: setting for setting in settings.SETTINGS}
    while words and words[0].startswith("-") and words[0] not in ("-", "-m", "--"):
        word, equals, text = words[0].partition("=")
        words = words[1:]
        if word in ("-h", "--help"):
            print(_help())
            sys.exit(0)
        if word not in table:
            _usage(f"unknown option {word}")
        setting = table[word]
        if not setting.form and not equals:
            text = "1"
        elif not equals:
            if not words:
                _usage(f"{word} needs {setting.form}")
            text, words = words[0], words[1:]
        try:
            settings.set_option(setting.name, text)
        except ValueError as exc:
            _usage(f"{word}: {exc}")
        if setting.name == "debug" and settings.flag(text):
            guard.raise_faults()
        if setting.name == "disabled" and settings.flag(text):
            import kerasprov_agent

            kerasprov_agent.stop()
    if words[:1] == ["--"]:
        words = words[1:]
    if not words or words == ["-m"]:
        _usage("nothing to run")
    if words[0] == "-":
        _usage("a program on standard input is not supported; give a file")
    if words[0] in COMMANDS and not os.path.exists(words[0]):
        _usage(f"{words[0]} is a command of kerasprov; try: kerasprov {words[0]}")
    return words


def _help() -> str:
    rows = [
        f"  {setting.option + ' ' + setting.form:<18} {setting.meaning}"
        for setting in settings.SETTINGS
    ]
    return "\n".join([USAGE, "", *rows])


def _usage(complaint: str) -> None:
    sys.stderr.write(f"kerasprov_agent: {complaint}\n{USAGE}\n")
    sys.exit(2)


def _run(words: list[str]) -> None:
    as_module = words[0] == "-m"
    target = words[1] if as_module else words[0]
    sys.argv[:] = words[1:] if as_module else words
    main_module = ModuleType("__main__")
    main_module.__dict__.setdefault("__annotations__", {})
    main_module.__dict__["__builtins__"] = sys.modules["builtins"]
    # With -P or PYTHONSAFEPATH there is no entry of ours at the front of sys.path.
    safe_path = getattr(sys.flags, "safe_path", False)
    if as_module:
        if not safe_path:
            sys.path[0] = os.getcwd()
        _install(main_module, target, "module")
        runpy._run_module_as_main(target)  # type: ignore[attr-defined]
    elif os.path.isdir(target) or type(get_importer(target)).__name__ == "zipimporter":
        path = os.path.abspath(target)
        sys.path[0:1] = [path, sys.path[0]] if safe_path else [path]
        _install(main_module, path, "directory" if os.path.isdir(target) else "zip")
        runpy._run_module_as_main("__main__", alter_argv=False)  # type: ignore[attr-defined]
    else:
        path = os.path.abspath(target)
        source = _read(target, path)
        if not safe_path:
            sys.path[0] = os.path.dirname(path)
        main_module.__dict__.update(
            __file__=path,
            __loader__=SourceFileLoader("__main__", path),
            __package__=None,
            __cached__=None,
        )
        _install(main_module, path, "script")
        exec(compile(source, path, "exec", dont_inherit=True), main_module.__dict__)


def _read(target: str, path: str) -> bytes:
    try:
        with io.open_code(path) as file:
            return file.read()
    except OSError as exc:
        program = sys.orig_argv[0]
        problem = f"[Errno {exc.errno}] {exc.strerror}"
        sys.stderr.write(f"{program}: can't open file {path!r}: {problem}\n")
        sys.exit(2)


def _install(main_module: ModuleType, target: str, kind: str) -> None:
    identity.program.update(target=target, kind=kind)
    sys.modules["__main__"] = main_module
    if "__mp_main__" in sys.modules:
        sys.modules["__mp_main__"] = main_module


def _tell_process(exc: BaseException) -> None:
    process = sys.modules.get("kerasprov_agent.process")
    if process is not None:
        guard.call(process.program_raised, exc)


def _report(exc: BaseException) -> None:
    """Print the traceback as `python` would, without our frames; it then picks the exit status."""
    traceback: TracebackType | None = exc.__traceback__
    while traceback is not None and traceback.tb_frame.f_code.co_filename == __file__:
        traceback = traceback.tb_next
    exc.__traceback__ = traceback
    sys.excepthook(type(exc), exc, traceback)
    sys.excepthook = lambda *_: None
