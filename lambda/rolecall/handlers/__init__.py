"""One thin module for each function.

Importing allocates some 60,000 objects that live as long as the environment does. A garbage collection in the midst of
it finds nothing and costs a tenth of a cold start, so collecting begins when the handler module is done.
"""

import gc

gc.disable()

# The first import of urllib3, and not the one 20 levels down in boto3: it compiles large regular expressions, and down
# there CPython (3.11 to 3.14) then maps and unmaps a page of its stack of frames at every other call, 2,000 times over.
# That cost another tenth of a cold start.
import urllib3  # noqa: E402, F401
