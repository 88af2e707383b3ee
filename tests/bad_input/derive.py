"""Bad input of ``eigensam derive``: no rule or two, training runs that are none, options that do not fit."""

DERIVE = [
    ("derive",),
    ("derive", "sam", "usam"),
    ("derive", "sam", "--nope"),
    ("derive", "sam", "--json"),
    ("derive", "sam", "--like", "run"),
    ("derive", "sam", "--curvature", 1),
    *(("derive", "--like", path) for path in ("", "file", "folder", "pipe", "nothing")),
    *(("derive", "--like", "run", "--curvature", number) for number in ("much", "nan", "1/0", "")),
    ("derive", "--like", "run", "--weak-order", 3),
    ("derive", "--like", "run", "--epochs", "reshuffled", "--batches", 4),
    ("derive", "--like", "run", "--json", "run/settings.json"),
    ("derive", "--like", "run", "--proof", "run"),
]
