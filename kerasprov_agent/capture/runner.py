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
from importlib.machinery import SourceFileLoader, SourcelessFileLoader
from importlib.util import MAGIC_NUMBER
from types import CodeType, ModuleType

from kerasprov_agent import guard, identity, settings
from kerasprov_agent.capture import uncaught
from kerasprov_agent.capture.session import session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

USAGE = "usage: python -m kerasprov_agent [options] (SCRIPT | DIR | ZIP | -m MODULE) [ARGS…]"
COMMANDS = frozenset(("runs", "show", "prov", "path", "config"))

STARTS = {
    "script": "exec(compile(source, path, 'exec', dont_inherit=True), main)",
    "compiled": "exec(loader.get_code('__main__'), main)",
    "module": "run(name)",
    "archive": "run('__main__', alter_argv=False)",
}
"""What starts a program of each form: the only statement in the frame below the program's."""

# Python names this file and line in a warning that is meant for the caller of the outermost frame,
# of which there is none. The frame below the program's claims to be there, for the same text.
NOWHERE, NOWHERE_LINE = ("<sys>", 0) if sys.version_info >= (3, 13) else ("sys", 1)


class Start:
    """A program that is ready to run: `exec(start.code, start.scope)`."""

    def __init__(self, form: str, main: dict[str, Any], **names: Any) -> None:
        code = compile(STARTS[form], NOWHERE, "exec")
        self.code: CodeType = code.replace(co_firstlineno=NOWHERE_LINE)
        self.scope: dict[str, Any] = {"__name__": "sys", "main": main, **names}
        self._loses_file = form in ("script", "compiled")

    def ended(self) -> None:
        """The program's last line has run."""
        # The `__main__` of a script has no `__file__` from then on, as functions find out that run
        # at exit.
        if self._loses_file:
            self.scope["main"].pop("__file__", None)
            self.scope["main"].pop("__cached__", None)

    def raised(self, exc: BaseException) -> None:
        """The program ends with an exception, which is about to leave."""
        guard.call(_tell, exc)
        uncaught.leave(exc, self.code)


def _tell(exc: BaseException) -> None:
    # Python lets go of a SystemExit, and of the variables that its traceback holds, before it calls
    # what is registered with atexit.
    session.program_raised(SystemExit(exc.code) if isinstance(exc, SystemExit) else exc)


def prepare() -> Start:
    """Make ready what the command line names, and the process for it."""
    words = _our_options(sys.argv[1:])
    main_module = ModuleType("__main__")
    main = main_module.__dict__
    main.setdefault("__annotations__", {})
    main["__builtins__"] = sys.modules["builtins"]
    if words[0] == "-m":
        # Python puts the module's file in place of "-m" once it has found it, the packages that
        # it is in having been imported.
        sys.argv[:] = ["-m", *words[2:]]
        start = _module(words[1], main)
    else:
        sys.argv[:] = words
        path = _absolute(words[0])
        start = _archive(path, main) if _is_archive(path) else _script(words[0], path, main)
    sys.modules["__main__"] = main_module
    if "__mp_main__" in sys.modules:
        sys.modules["__mp_main__"] = main_module
    return start


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


def _module(name: str, main: dict[str, Any]) -> Start:
    identity.program.update(target=name, kind="module")
    return Start("module", main, run=runpy._run_module_as_main, name=name)  # type: ignore[attr-defined]


def _archive(path: str, main: dict[str, Any]) -> Start:
    """A directory or a zip file, whose `__main__.py` is to run."""
    kind = "directory" if os.path.isdir(path) else "zip"
    identity.program.update(target=os.path.abspath(path), kind=kind)
    _put_first(path)
    return Start("archive", main, run=runpy._run_module_as_main)  # type: ignore[attr-defined]


def _script(word: str, path: str, main: dict[str, Any]) -> Start:
    try:
        with io.open_code(path) as file:
            source = file.read()
    except OSError as exc:
        program = sys.orig_argv[0]
        problem = f"[Errno {exc.errno}] {exc.strerror}"
        sys.stderr.write(f"{program}: can't open file {path!r}: {problem}\n")
        sys.exit(2)
    identity.program.update(target=os.path.abspath(path), kind="script")
    if not _is_safe_path():
        _put_first(_directory_of(word))
    is_compiled = path.endswith(".pyc") or source.startswith(MAGIC_NUMBER)
    loader = (SourcelessFileLoader if is_compiled else SourceFileLoader)("__main__", path)
    main.update(__file__=path, __loader__=loader, __package__=None, __cached__=None)
    if is_compiled:
        return Start("compiled", main, loader=loader)
    return Start("script", main, source=source, path=path)


def _absolute(path: str) -> str:
    """A path as Python puts it into `__file__`: from the root, and else as it was given."""
    if os.path.isabs(path):
        return path
    try:
        # Before Python 3.11 the directory "." was called so.
        here = path in ("", ".") and sys.version_info >= (3, 11)
        return os.getcwd() if here else os.path.join(os.getcwd(), path)
    except OSError:  # The directory that we are in was deleted.
        return path


def _directory_of(script: str) -> str:
    """What Python puts into `sys.path[0]`: where the script lies that links lead to."""
    try:
        script = os.path.join(os.path.dirname(script), os.readlink(script))
    except OSError:
        pass
    try:
        script = os.path.realpath(script, strict=True)
    except OSError:  # A pipe (/dev/fd/63) has no path.
        pass
    return os.path.dirname(script)


def _is_archive(path: str) -> bool:
    """Whether modules can be imported from a path, as from directories and zip files."""
    for hook in sys.path_hooks:
        try:
            hook(path)
        except ImportError:
            continue
        return True
    return False


def _is_safe_path() -> bool:
    """Whether Python was told to put no directory in front (-P, PYTHONSAFEPATH, -I)."""
    return bool(getattr(sys.flags, "safe_path", sys.flags.isolated))


def _put_first(entry: str) -> None:
    """Let a path be the first in `sys.path`, in place of the directory that we were started in."""
    had_one = not _is_safe_path()
    try:
        os.getcwd()
    except OSError:  # Python put no directory there that was deleted.
        had_one = False
    sys.path[: int(had_one)] = [entry]
