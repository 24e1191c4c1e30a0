"""``python -m kerasprov_agent [options] (SCRIPT | DIR | ZIP | -m MODULE) [ARGS…]``.

The program is run from here and from no function: it can see each frame that is below its own.
"""

from kerasprov_agent.capture import runner

start = runner.prepare()
# Libraries take the outermost frame whose module is `__main__` for the program's.
__name__ = "kerasprov_agent.__main__"
try:
    exec(start.code, start.scope)
except BaseException as exc:
    start.raised(exc)
    raise
start.ended()
