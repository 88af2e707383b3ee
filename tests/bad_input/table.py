"""Command lines that must be refused; a new option, file or format gets its lines here."""

from .derive import DERIVE
from .files import CONFIGS, LANDSCAPES, SIDECARS, TENSORS

WEAK = ("weak-order", "usam", "--rho-exponent", "1/2")
MOMENTS = (*WEAK, "--method", "moments")
SAMPLED = (*WEAK, "--method", "monte-carlo")
ONE_STEP = (*WEAK, "--method", "one-step")
SIMULATE = ("simulate", "sam")
TRAIN = ("train", "--epochs", 1, "--out", "new")
SPECTRUM = ("spectrum", "run")
BOUND = ("bound", "run")
CERTIFY = ("certify", "--data", "digits")
EVERY_JSON = [  # derive has all of BAD_FILES
    WEAK,
    SIMULATE,
    ("order-table", "--out", "new"),
    TRAIN,
    SPECTRUM,
    BOUND,
    CERTIFY,
    ("assumptions", "run"),
    ("figures", "--out", "new"),
]
BAD_FILES = [
    *("", " ", "/", ".", "..", "folder", "to-folder", "folder/", "new/", "loop", "loop/a", "pipe", "file/a"),
    *("/dev/null", "/dev/full", "/dev/zero", "/dev/null/a", "/proc/a", "x" * 250, "x" * 300 + "/a", "a/" * 3000 + "a"),
    *("checkpoint.json", "new/metrics.jsonl"),
]
BAD_FOLDERS = ["", " ", "/", "/dev/null", "/proc/a", "file", "file/a", "loop", "pipe", "x" * 300, "-"]

TABLE = [
    # no command, no such command, no such option
    ("nope",),
    ("",),
    ("--nope",),
    *DERIVE,
    *((name,) for name in ("train", "spectrum", "bound", "assumptions")),
    ("figures", "quick"),
    ("order-table", "now"),
    # outputs
    *((*command, "--json", path) for command in EVERY_JSON for path in ("/", "folder", "")),
    *(("derive", "sam", "--json", path) for path in BAD_FILES),
    *(("derive", "sam", "--proof", path) for path in [*BAD_FILES, "-"]),
    *((*SAMPLED, "--state", path) for path in [*BAD_FILES, "-"]),
    *((*WEAK, "--plot", path) for path in [*BAD_FILES, "-", "a", "a.gif", "a.PNG", ".svg", "a.svg/", "loop/a.svg"]),
    *((*SIMULATE, "--plot", path) for path in ("/", "-", "a", "a.gif", "file/a.svg")),
    *((*SIMULATE, "--checkpoint", path) for path in BAD_FOLDERS),
    *((*SPECTRUM, "--plot", path) for path in ("/", "-", "a.gif", "/dev/full", "file/a.svg")),
    *(
        ("train", "--epochs", 1, "--out", path)
        for path in [*BAD_FOLDERS, ".", "..", "run", "folder", "half", "blocked"]
    ),
    *(("figures", "--out", path) for path in BAD_FOLDERS),
    *(("order-table", "--out", path) for path in BAD_FOLDERS),
    # two outputs in one place, an output that is an input
    (*TRAIN, "--json", "new"),
    (*TRAIN, "--json", "./folder/../new"),
    (*TRAIN, "--json", "new.partial"),
    (*TRAIN, "--json", "new.partial/a.json"),
    ("train", "--epochs", 1, "--out", "new/run", "--json", "new"),
    ("figures", "--out", "new", "--json", "new"),
    ("figures", "--out", "new", "--json", "new/figure1.json"),
    ("figures", "--out", "new", "--json", "new/report.html"),
    ("figures", "--out", "new", "--json", "new/runs/a.json"),
    ("order-table", "--out", "new", "--json", "new/order_table.json"),
    ("order-table", "--out", "new", "--json", "new/../new"),
    ("derive", "sam", "--json", "a", "--proof", "./a"),
    ("derive", "sam", "--json", "to-folder/a", "--proof", "folder/a"),
    ("derive", "sam", "--json", "a", "--proof", "a/b"),
    (*WEAK, "--json", "a.svg", "--plot", "a.svg"),
    (*SAMPLED, "--json", "a", "--state", "folder/../a"),
    (*SAMPLED, "--plot", "a.svg", "--state", "a.svg"),
    (*SIMULATE, "--json", "a.svg", "--plot", "./a.svg"),
    (*SIMULATE, "--json", "new/a", "--checkpoint", "new"),
    (*SIMULATE, "--plot", "new.svg", "--checkpoint", "new.svg"),
    (*SIMULATE, "--landscape", "good.json", "--json", "good.json"),
    (*SPECTRUM, "--json", "a.svg", "--plot", "./a.svg"),
    (*MOMENTS, "--landscape", "good.json", "--json", "good.json"),
    (*MOMENTS, "--landscape", "to-good", "--json", "good.json"),
    (*MOMENTS, "--landscape", "good.json", "--json", "to-good"),
    (*SAMPLED, "--landscape", "good.json", "--state", "good.json"),
    (*SPECTRUM, "--json", "run"),
    (*SPECTRUM, "--json", "run/checkpoint.json"),
    # options given twice
    (*WEAK, "--dim", 1, "--dim", 2),
    (*WEAK, "--rho-exponent", "1/2"),
    (*SAMPLED, "--seed", 1, "--seed", 2),
    ("derive", "sam", "--json", "a", "--json", "b"),
    ("derive", "sam", "--format", "text", "--format", "text"),
    (*SIMULATE, "--seed", 1, "--seed", 2),
    (*TRAIN, "--out", "other"),
    (*SPECTRUM, "--double", "--double"),
    (*SPECTRUM, "--check", "--no-check"),
    (*BOUND, "--delta", 0.1, "--delta", 0.2),
    ("figures", "--preset", "quick", "--preset", "quick"),
    ("order-table", "--out", "a", "--out", "b"),
    ("weak-order", "cr-sam", "--value", "alpha=1", "--value", "alpha=2"),
    # options that would be ignored
    (*ONE_STEP, "--horizon", 2),
    (*ONE_STEP, "--resolution", 21),
    (*MOMENTS, "--resolution", 21),
    (*SAMPLED, "--resolution", 21),
    *((*command, "--precision", "multi") for command in (WEAK, MOMENTS, SAMPLED)),
    *(
        (*command, *option)
        for command in (WEAK, ONE_STEP, MOMENTS)
        for option in (
            ("--paths", 100),
            ("--most-paths", 100),
            ("--seed", 1),
            ("--jobs", 2),
            ("--state", "state.json"),
            ("--batches", 2),
            ("--batch-size", 2),
            ("--data-root", "folder"),
        )
    ),
    (*SIMULATE, "--landscape", "good.json", "--dim", 1),
    (*SIMULATE, "--steps", 5, "--horizon", 1),
    (*SAMPLED, "--batches", 2),
    (*SAMPLED, "--paths", 100, "--most-paths", 100),
    (*MOMENTS, "--landscape", "good.json", "--dim", 1),
    (*ONE_STEP, "--landscape", "run", "--dim", 1),
    (*MOMENTS, "--landscape", "good.json", "--batches", 2),
    (*MOMENTS, "--landscape", "good.json", "--data-root", "folder"),
    (*ONE_STEP, "--landscape", "run", "--data-root", "folder"),
    (*TRAIN, "--optimizer", "sgd", "--rho", 0.1),
    *(
        (*TRAIN, "--optimizer", optimizer, *option)
        for optimizer in ("sgd", "sam")
        for option in (
            ("--alpha", 0.1),
            ("--refresh-every", 5),
            ("--iterations", 5),
            ("--solver", "power"),
            ("--normalize",),
            ("--eta", 0.1),
            ("--gamma", 0.1),
            ("--beta", 0.1),
            ("--theta", 0.1),
            ("--gaussian",),
            ("--micro-batches", 2),
        )
    ),
    (*TRAIN, "--data-root", "folder"),
    (*TRAIN, "--download"),
    (*SPECTRUM, "--probes", 10),
    (*SPECTRUM, "--steps", 10),
    (*SPECTRUM, "--data-root", "folder"),
    (*BOUND, "--data-root", "folder"),
    (*BOUND, "--download"),
    ("figures", "--out", "new", "--data-root", "folder"),
    (*WEAK, "--weak-order", 1, "--drift-order", 2),
    # numbers and words
    *(("derive", "sam", "--weak-order", text) for text in ("0", "-1", "3", "1.5", "one", "", "1e0", "9" * 40)),
    *(
        ("derive", "sam", "--rho-exponent", text)
        for text in ("0", "-1/2", "1/0", "nan", "inf", "", "½", "1e400", "1//2", "0x1", "1/2/3", "9" * 5000)
    ),
    *(("derive", rule) for rule in ("", "adam", "grad(", "g g", "__import__('os')", "g" * 1000, "∇f", "(" * 5000, "0")),
    ("derive", "sam", "--format", "word"),
    *((*WEAK, "--drift-order", text) for text in ("0", "-1", "1000000", "x")),
    *((*WEAK, "--rho-scale", text) for text in ("0", "-1", "nan", "inf", "1e999", "x", "")),
    *((*WEAK, "--dim", text) for text in ("0", "-1", "4", "99999999999", "1.5", "nan", "x", "")),
    *((*MOMENTS, "--dim", text) for text in ("0", "-1", "2001", "99999999999", "9" * 40, "x")),
    *(
        (*WEAK, "--etas", text)
        for text in (
            "1/8",
            "1/8,1/8",
            "1/16,1/8",
            "0,0",
            "-1/8,-1/16",
            "nan,nan",
            "inf,1",
            "a,b",
            ",",
            "1/8,",
            "0.3,0.1",
        )
    ),
    *((*WEAK, "--horizon", text) for text in ("0", "-1", "nan", "inf", "x", "", "1/0", "1e300")),
    *((*WEAK, "--resolution", text) for text in ("2", "-1", "20", "1001", "99999999999", "x")),
    *((*WEAK, "--method", text) for text in ("", "magic", "TORUS")),
    *((*ONE_STEP, "--precision", text) for text in ("", "double")),
    *((*SAMPLED, "--paths", text) for text in ("1", "-1", "9" * 40, "x")),
    *((*SAMPLED, "--most-paths", text) for text in ("0", "-1", "9" * 40, "x")),
    *((*SAMPLED, "--seed", text) for text in ("-1", "9" * 40, "1.5", "x")),
    *((*SAMPLED, "--jobs", text) for text in ("0", "-1", "9" * 40, "x")),
    *(
        ("weak-order", "cr-sam", "--value", text)
        for text in ("", "alpha", "alpha=", "alpha=x", "alpha=nan", "alpha=inf", "alpha=0", "alpha=-1", "alpha=1,2")
    ),
    (*WEAK, "--value", "beta=1"),
    (*WEAK, "--value", "=1"),
    *((*SIMULATE, "--eta", text) for text in ("0", "-1", "nan", "inf", "x", "1e999")),
    *((*SIMULATE, "--rho", text) for text in ("-1", "nan", "inf", "x")),
    *((*SIMULATE, "--rho-exponent", text) for text in ("0", "x")),
    *((*SIMULATE, "--horizon", text) for text in ("0", "-1", "nan", "inf", "x", "0.25", "1e30")),
    *((*SIMULATE, "--steps", text) for text in ("-1", "9" * 40, "x", "1.5")),
    *((*SIMULATE, "--dt", text) for text in ("-1", "nan", "inf", "x", "0.3")),
    *((*SIMULATE, "--paths", text) for text in ("0", "-1", "9" * 40, "x")),
    *((*SIMULATE, "--seed", text) for text in ("-1", "9" * 40, "x")),
    *((*SIMULATE, "--chunk", text) for text in ("-1", "9" * 40, "x")),
    *((*SIMULATE, "--scheme", text) for text in ("", "leapfrog", "heun")),
    *((*SIMULATE, "--start", text) for text in ("", "x", "nan", "1,", "1,2,3", "1/0")),
    *((*SIMULATE, "--root", text) for text in ("", "cholesky")),
    *((*SIMULATE, "--dtype", text) for text in ("", "float16")),
    *((*SIMULATE, "--backend", text) for text in ("", "triton")),
    *((*SIMULATE, "--every", text) for text in ("-1", "x")),
    *((*SIMULATE, "--trajectories", text) for text in ("-1", "x", "10001")),
    *((*SIMULATE, "--quantiles", text) for text in ("-1", "1", "1e-5", "nan")),
    *((*SIMULATE, "--dim", text) for text in ("0", "4", "x")),
    *((*SIMULATE, "--value", text) for text in ("", "beta=1")),
    (*SIMULATE, "--weak-order", 1, "--drift-order", 1),
    ("simulate", "cr-sam"),
    *(("train", "--out", "new", "--epochs", text) for text in ("0", "-1", "nan", "x", "", "9" * 40)),
    *((*TRAIN, "--batch-size", text) for text in ("0", "-1", "5000", "x", "9" * 40)),
    *((*TRAIN, "--lr", text) for text in ("0", "-1", "nan", "inf", "x", "1e999")),
    *((*TRAIN, "--momentum", text) for text in ("-1", "1", "nan", "inf")),
    *((*TRAIN, "--base", text) for text in ("", "lbfgs", "SGD")),
    *((*TRAIN, "--optimizer", "sgd", "--base", text) for text in ("adam", "adamw", "rmsprop")),
    (*TRAIN, "--momentum", 0, "--nesterov"),
    *((*TRAIN, "--base", "adamw", *option) for option in (("--momentum", 0.9), ("--nesterov",), ("--base-alpha", 0.9))),
    *((*TRAIN, "--base", "adam", name, text) for name in ("--beta1", "--beta2") for text in ("-1", "1", "nan", "x")),
    *((*TRAIN, "--base", "rmsprop", "--base-alpha", text) for text in ("-1", "1", "nan")),
    *(
        (*TRAIN, "--base", name, "--eps", text)
        for name in ("adam", "rmsprop", "adagrad")
        for text in ("0", "-1", "nan")
    ),
    *((*TRAIN, "--schedule", text) for text in ("", "linear", "cosine,step")),
    *((*TRAIN, "--final", text) for text in ("-1", "2", "nan", "x")),
    (*TRAIN, "--schedule", "step"),
    *(
        (*TRAIN, "--schedule", "step", "--milestones", text)
        for text in ("", ",", "0", "-1", "3,2", "2,2", "1.5", "9" * 40)
    ),
    *((*TRAIN, "--schedule", "step", "--milestones", 1, "--schedule-gamma", text) for text in ("0", "2", "nan", "x")),
    (*TRAIN, "--schedule", "step", "--milestones", 1, "--gamma", 0.1),
    (*TRAIN, "--milestones", 1),
    *((*TRAIN, "--warmup-epochs", text) for text in ("-1", "2", "nan", "inf", "x")),
    *((*TRAIN, "--weight-decay", text) for text in ("-1", "nan", "inf")),
    *((*TRAIN, "--rho", text) for text in ("0", "-1", "nan", "inf")),
    *((*TRAIN, "--alpha", text) for text in ("-1", "nan", "inf")),
    *((*TRAIN, "--refresh-every", text) for text in ("0", "-1", "x")),
    *((*TRAIN, "--iterations", text) for text in ("0", "-1", "x")),
    *((*TRAIN, "--solver", text) for text in ("", "qr")),
    *((*TRAIN, "--optimizer", name, "--eta", text) for name in ("asam", "fisher-sam") for text in ("-1", "nan", "inf")),
    *((*TRAIN, "--optimizer", "cr-sam", name, text) for name in ("--gamma", "--beta") for text in ("-1", "nan", "inf")),
    *((*TRAIN, "--optimizer", "gsam", "--alpha", text) for text in ("-1", "nan", "inf")),
    *((*TRAIN, "--optimizer", "vasso", "--theta", text) for text in ("0", "1.5", "nan")),
    *((*TRAIN, "--optimizer", "friendly-sam", name, text) for name in ("--sigma", "--decay") for text in ("-1", "nan")),
    *((*TRAIN, "--optimizer", "x-sam", "--alpha", text) for text in ("-1", "2.1", "nan")),
    *((*TRAIN, "--optimizer", "smoothed-perturbation", name, "-1") for name in ("--tolerance", "--far")),
    *((*TRAIN, "--optimizer", "aware-perturbation", "--parts", text) for text in ("0", "3", "65", "x")),
    *((*TRAIN, "--optimizer", "frob-sam", "--samples", text) for text in ("1", "-1", "x")),
    *(
        (*TRAIN, "--optimizer", "det-sam", name, text)
        for name in ("--weight", "--scale")
        for text in ("0", "nan", "inf")
    ),
    *((*TRAIN, "--optimizer", "m-sam", "--micro-batches", text) for text in ("0", "3", "65", "x")),
    *((*TRAIN, "--spectrum-every", text) for text in ("-1", "x", "9" * 40)),
    *((*TRAIN, "--record-every", text) for text in ("-1", "0.5", "x", "9" * 40)),
    *((*TRAIN, "--record-every", 1, "--record-examples", text) for text in ("0", "-1", "x", "9" * 40)),
    (*TRAIN, "--record-examples", 100),
    *((*TRAIN, "--plot", path) for path in ("/", "-", "a.gif", "/dev/full", "file/a.svg", "new", "new.partial/a.svg")),
    (*TRAIN, "--json", "a.svg", "--plot", "./a.svg"),
    *((*TRAIN, "--json", f"new/{name}") for name in ("curvature.jsonl", "curvature.frozen.safetensors")),
    *((*TRAIN, "--tensorboard", path) for path in (*BAD_FOLDERS, "new", "new/board", "new.partial")),
    (*TRAIN, "--seeds", "0,1", "--plot", "a.svg"),
    (*TRAIN, "--seeds", "0,1", "--tensorboard", "board"),
    *((*TRAIN, "--seed", text) for text in ("-1", "9" * 40, "x")),
    *((*TRAIN, "--config", f"{name}.toml") for name in CONFIGS if name != "config"),
    *((*TRAIN, "--config", path) for path in (*BAD_FILES, "good.json", "config", "nowhere.toml", "binary.json")),
    (*TRAIN, "--config", "config.toml", "--config", "config.toml"),
    (*TRAIN, "--config", "config.toml", "--json", "config.toml"),
    (*TRAIN, "--config", "config.toml", "--optimizer", "sam", "--alpha", 0.1),
    *(
        (*TRAIN, "--seeds", text)
        for text in ("", ",", "0,", "-1", "0,0", "4-0", "0-4,2", "1.5", "x", "0-9999", "9" * 40)
    ),
    (*TRAIN, "--seeds", "0,1", "--seed", 1),
    *((*TRAIN, "--seeds", "0,1", "--jobs", text) for text in ("-1", "x", "9" * 40)),
    (*TRAIN, "--jobs", 2),
    *(("train", "--epochs", n, "--resume", "--out", "run") for n in (1, 99)),  # a run of other settings
    ("train", "--schedule", "constant", "--resume", "--out", "run"),
    *(("train", "--epochs", 1, "--seeds", "0,1", "--out", path) for path in (*BAD_FOLDERS, "run")),
    *((*TRAIN, "--seeds", "0,1", "--json", path) for path in ("new/seed-0", "new/seed-1.partial/a")),
    *((*TRAIN, "--model", text) for text in ("", "gpt", "../mlp")),
    *((*TRAIN, "--optimizer", text) for text in ("", "adam")),
    *((*TRAIN, "--data", text) for text in ("", "iris", "mnist", "../digits")),
    *(
        (*TRAIN, "--data", "mnist", "--data-root", path)
        for path in ("", "nowhere", "file", "mnist", "loop", "/dev/null")
    ),
    (*TRAIN, "--augment"),
    *(
        (*command, "--device", text)
        for command in (TRAIN, SIMULATE, SPECTRUM, BOUND, ("figures", "--out", "new"))
        for text in ("", "gpu", "hpu", "xla", "cuda:-1", "meta")
    ),
    *((*SPECTRUM, "--top", text) for text in ("0", "-1", "9" * 40, "x")),
    *((*SPECTRUM, "--which", text) for text in ("", "middle")),
    *((*SPECTRUM, "--operator", text) for text in ("", "jacobian")),
    *((*SPECTRUM, "--mode", text) for text in ("", "test")),
    *((*SPECTRUM, "--max-products", text) for text in ("0", "-1", "9" * 40)),
    *((*SPECTRUM, "--tolerance", text) for text in ("0", "1", "-1", "nan", "inf", "x")),
    *((*SPECTRUM, "--delta", text) for text in ("0", "1", "nan", "x")),
    *((*SPECTRUM, "--batch-size", text) for text in ("0", "-1", "9" * 40)),
    *((*SPECTRUM, "--batches", text) for text in ("-1", "9" * 40)),
    *((*SPECTRUM, "--seed", text) for text in ("-1", "9" * 40)),
    *((*SPECTRUM, "--density", "--probes", text) for text in ("0", "1", "-1")),
    *((*SPECTRUM, "--density", "--steps", text) for text in ("0", "-1")),
    (*SPECTRUM, "--parameters", "conv*"),
    (*SPECTRUM, "--parameters", ""),
    *((*BOUND, "--delta", text) for text in ("0", "1", "-1", "nan", "inf", "x", "1e-320")),
    *((*BOUND, "--p-min", text) for text in ("0", "1", "nan", "2", "x")),
    *((*BOUND, "--prior", text) for text in ("", "mean")),
    *((*BOUND, "--sigma", text) for text in ("0", "-1", "nan", "inf", "1e100")),
    *((*BOUND, "--batch-size", text) for text in ("-1", "x")),
    *((*BOUND, "--max-products", text) for text in ("0", "-1")),
    *((*BOUND, "--seed", text) for text in ("-1", "x")),
    # certificates
    ("certify", "run"),  # trained on everything
    ("certify", "run", "run"),
    *(("certify", "run", *option) for option in (("--data", "digits"), ("--model", "mlp"), ("--fractions", "0.5"))),
    *(("certify", "run", *option) for option in (("--permute-labels",), ("--out", "new"), ("--optimizer", "sgd"))),
    *(("certify", "--data", text) for text in ("", "nope", "mnist")),
    *((*CERTIFY, "--delta", text) for text in ("0", "1", "-0.1", "nan", "inf", "x", "1e-200", "2")),
    *((*CERTIFY, "--fractions", text) for text in ("", "0", "1", "1.5", "x", "0.5,0.5", "0.5,", "nan", "1e-9")),
    *((*CERTIFY, "--loss", text) for text in ("", "hinge")),
    *((*CERTIFY, "--loss", "cross-entropy", "--p-min", text) for text in ("0", "1", "nan", "-1")),
    (*CERTIFY, "--p-min", "0.1"),
    *((*CERTIFY, "--prior", text) for text in ("", "best")),
    (*CERTIFY, "--prior", "initial", "--choice-share", "0.1"),
    *((*CERTIFY, "--choice-share", text) for text in ("0", "1", "nan")),
    *((*CERTIFY, "--posterior", text) for text in ("", "full")),
    (*CERTIFY, "--eigenvectors", "5"),
    (*CERTIFY, "--posterior", "low-rank", "--prior", "zero"),
    *((*CERTIFY, "--prior", "initial", *o) for o in (("--optimizer", "sgd"), ("--fractions", "0.1"))),
    (*CERTIFY, "--prior", "initial", "--prior-epochs", "3"),
    *((*CERTIFY, "--inequality", text) for text in ("", "hope")),
    *((*CERTIFY, "--width", text) for text in ("-1", "nan", "inf", "1e300")),
    *((*CERTIFY, option, text) for option in ("--draws", "--epochs", "--seed") for text in ("-1", "x", "9" * 40)),
    *((*CERTIFY, "--looks", text) for text in ("0", "-1")),
    *((*CERTIFY, "--mc-share", text) for text in ("0", "1", "nan")),
    *((*CERTIFY, "--prior-epochs", text) for text in ("-1", "x")),
    *((*CERTIFY, "--prior-seed", text) for text in ("-1", "9" * 40)),
    *((*CERTIFY, "--out", path) for path in BAD_FOLDERS),
    (*CERTIFY, "--layers", "some"),
    (*CERTIFY, "--plot", "a.gif"),
    *((*TRAIN, "--prior-fraction", text) for text in ("0", "-0.5", "1.5", "nan", "1e-9", "x")),
    *((*TRAIN, "--save-minutes", text) for text in ("-1", "-inf", "nan", "x", "")),
    *((*TRAIN, "--subset", text) for text in ("-1", "1438", "63", "9" * 40, "0.5", "x")),
    (*TRAIN, "--subset", "100", "--prior-fraction", "0.05"),  # of 72 examples
    *(
        (*TRAIN, "--validation-fraction", text)
        for text in ("-0.1", "1", "1e-9", "0.999999", "0.99", "nan", "inf", "x")  # 0.99: less than a minibatch is left
    ),
    (*TRAIN, "--subset", "70", "--validation-fraction", "0.1"),
    *((*TRAIN, "--label-noise", text) for text in ("-0.1", "1", "1e-9", "nan", "inf", "x")),
    *((*TRAIN, "--label-smoothing", text) for text in ("-0.1", "1", "nan", "inf", "x")),
    *(("figures", "--out", "new", "--preset", text) for text in ("", "full", "paper")),
    *(("figures", "--out", "new", "--jobs", text) for text in ("-1", "x", "9" * 40)),
    # files
    *((*MOMENTS, "--landscape", f"{name}.json") for name in LANDSCAPES),
    *((*SIMULATE, "--landscape", path) for path in ("", "nowhere.json", "folder", "run", "pipe", "cut.json")),
    *(
        (*MOMENTS, "--landscape", path)
        for path in (
            *("", "nowhere.json", "folder", "loop", "broken", "pipe", "/dev/zero", "/dev/full", "/dev/null", "file"),
            *("binary.json", "file/a", "x" * 300, "/proc/self/mem", "run/checkpoint.safetensors", "-"),
        )
    ),
    *(
        (command, path)
        for command in ("spectrum", "bound", "certify")
        for path in ("", "nowhere", "file", "loop", "pipe", "/", ".")
    ),
    *((command, name) for command in ("spectrum", "bound", "certify", "assumptions") for name in SIDECARS),
    *((command, f"tensors-{name}") for command in ("spectrum", "bound", "assumptions") for name in TENSORS),
    *(
        (command, name)
        for command in ("spectrum", "bound")
        for name in ("no-tensors", "no-sidecar", "sidecar-folder", "tensors-pipe")
    ),
    *((*ONE_STEP, "--landscape", name) for name in ("forty-gigabytes", "tensors-pickle", "shape-text")),
    *(
        (*ONE_STEP, "--landscape", "run", option, text)
        for option in ("--batches", "--batch-size")
        for text in ("0", "-1", "9" * 40)
    ),
]
