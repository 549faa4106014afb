"""The vendor's own contract of v3, against which every call to a sandbox in any test is checked.

`v3-partner-contract.json` is the structure of the vendor's Swagger 2.0 document, build 3.0.178: the partner's paths,
without the descriptions. `contract` validates a request and its answer against it, with jsonschema. `observer` applies
that to every call that a sandbox answers.
"""

import sys

# It would load the grammars of IRIs, which no schema here has, and which take seconds in each process.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
