"""One thin command per pipeline stage: parse, load, call m1, write."""

import sys

from m1.stopping import begin

# Python runs one of the stages next (`python -m stages.<name>`), whose imports take seconds.
if sys.argv[:1] == ["-m"]:
    begin()
