"""Claims: every sentence of the report that has a number or a comparison, as data.

A claim: `id, section, kind, about, contrast, statement, inputs: [{file, field}], test,
family, n, estimate, interval, p, p_adjusted, verdict`. It is a pure function of the files
in `inputs`; fractions are 0..1, and differences are first minus second, as the statement
names them. `section` is the topic's folder, `kind` a `claim.Kind`; `p_adjusted` is
corrected over `family`; `verdict` is null for claims that only report.
"""
