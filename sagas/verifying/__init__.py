"""Playing what a definition foresees, and every other trouble, before anything real goes wrong.

verify(definition) -> Verdict      by the core, in memory
"""

from sagas.verifying.verdicts import Verdict, verify

__all__ = ["Verdict", "verify"]
