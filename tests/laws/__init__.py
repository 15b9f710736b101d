"""The laws: what holds for every dialect and every stream.

Dialects are discovered, streams come from `tests.corpus`, and no dialect is named here. What has to know one (what its
written form must look like, when a stream of it has said why it stops) is a module of `strict` with the dialect's name.

- `harness`: run a stream through the library, cut anywhere.
- `normal`: the form in which two readings are compared, and what each declared loss explains.
- `streams`: sequences of events drawn from the grammar, and mutations of recorded bytes.
- `toy`: a dialect that only these tests have.
"""
