"""``python -m kerasprov_agent [options] (SCRIPT | DIR | ZIP | -m MODULE) [ARGS…]``."""

from kerasprov_agent.runner import main

main()
