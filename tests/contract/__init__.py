"""The vendor's own contract of v3, and a look over the shoulder of every sandbox that a test starts.

`v3-partner-contract.json` is the structure of the vendor's Swagger 2.0 document, build 3.0.178: the partner's paths,
without the descriptions. `contract` judges a request and its answer by it, with jsonschema; `observer` has it judge
every call that any sandbox of this process answers.
"""
