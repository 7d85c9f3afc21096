"""labmill: a study file in, a finished report out.

The workflow is in workflow/Snakefile, which another workflow can import from Git too.
"""


include: "workflow/Snakefile"
