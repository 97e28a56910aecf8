"""A Ray cluster as the engine: real clusters of several nodes in this machine give the bytes that
this process gives, whatever is lost meanwhile."""

import hashlib
import logging
import os
import re
import shutil
import subprocess
import sys
import weakref
from pathlib import Path

import pytest
from filelock import FileLock

from bimotion.data.synthetic import layouts
from bimotion.errors import ClusterError, MissingExtra, ModelError, SettingError
from bimotion.evaluation import run
from bimotion.evaluation.engines import engine_of
from bimotion.evaluation.tracks.zero_shot import ZeroShot
from bimotion.models import encoder as encoders
from bimotion.models.classifier import Classifier
from bimotion.models.spec import ModelSpec
from bimotion.protocol.labels import SCHEMAS
from bimotion.results.run_folder import RunFolder
from tests.support import tiny_models
from tests.support.command_line import run_main
from tests.support.shared import once
from tests.support.small_runs import FOUR, ONE_EPOCH, evaluated, killed_at, words

pytestmark = [pytest.mark.cluster, pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")]
NO_RAY = "the extra cluster is not installed"
ONLY = ["tess", "csed"]
ASKED = {"protocol": "in-group", "only": ONLY, "schema": "valence"}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """The number of threads that workers have."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    """Root with a few synthetic clips, in a folder that nodes can lack."""
    root = tmp_path_factory.mktemp("hidden") / "corpora"
    layouts.write(root, scale=0.01, seed=0, corpora=ONLY)
    return root


@pytest.fixture(scope="module")
def encoder():
    return once("cluster-encoder", lambda to: tiny_models.build("wav2vec2-group", to))


@pytest.fixture(scope="module")
def cluster():
    """Two nodes, `one` and `two`."""
    pytest.importorskip("ray", reason=NO_RAY)
    from tests.support.clusters import cluster_of

    with cluster_of("one", "two") as made:
        yield made


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Choose the cache of a name, empty at first."""

    def choose(name: str) -> Path:
        monkeypatch.setenv("BIMOTION_CACHE", str(tmp_path / name))
        return tmp_path / name

    return choose


def blocks(cache: Path) -> dict[str, str]:
    """Name of a block of features -> SHA-256."""
    return {
        path.relative_to(cache).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in cache.rglob("features/*/*/*.safetensors")
    }


def predictions(results, output: Path) -> list[bytes]:
    return [(result.folder(output) / "predictions.parquet").read_bytes() for result in results]


def test_every_track_gives_the_bytes_of_one_process(
    cluster, corpora, encoder, cache, tmp_path, monkeypatch
):
    """Several models in one pool; each is loaded once here for all questions about it."""
    load, loaded = encoders.load, []
    monkeypatch.setattr(encoders, "load", lambda spec: loaded.append(spec.model) or load(spec))
    init = Classifier.__init__
    monkeypatch.setattr(
        Classifier, "__init__", lambda *a, **k: loaded.append(a[1].model) or init(*a, **k)
    )
    classifier = tiny_models.build("wav2vec2-group", tmp_path / "four", id2label=FOUR)
    shared = {"data_dir": corpora, "allow_missing": True, "split_rule": "paper", **ASKED}
    questions = [
        shared | {"model": str(encoder)},
        shared | {"model": str(encoder), "adapt": "coral"},
        shared | {"model": str(classifier), "track": "zero-shot"},
        shared | {"model": str(classifier), "track": "zero-shot", "schema": "emotion"},
        shared | {"model": str(encoder), "track": "finetune", "finetune": ONE_EPOCH},
    ]
    made = {}
    for engine in ("local", "ray"):
        folder, output = cache(engine), tmp_path / f"{engine}-results"
        results = list(run.evaluate_all([q | {"output": output} for q in questions], engine))
        facts = [(result.scores, result.fits, result.n_parameters) for result in results]
        made[engine] = (blocks(folder), predictions(results, output), facts)
    assert made["ray"] == made["local"]
    assert made["ray"][0]
    assert loaded.count(str(classifier)) == len(made)
    assert loaded.count(str(encoder)) >= len(made)


def test_lost_workers_cost_a_block_or_a_job_and_no_run(cluster, corpora, cache, tmp_path):
    from tests.support.clusters import Killing, Levels, WatchedProbe

    killing = {work: Killing(tmp_path / work, os.getpid()) for work in ("extraction", "training")}
    model, track = Levels(killing["extraction"]), WatchedProbe(before=killing["training"])
    made = {}
    for engine in ("ray", "local"):
        folder, output = cache(engine), tmp_path / f"{engine}-results"
        result, _ = evaluated(model, corpora, output, track=track, engine=engine, **ASKED)
        made[engine] = blocks(folder), predictions([result], output)
    assert all(each.mark.exists() for each in killing.values())
    assert made["ray"] == made["local"]


def test_what_is_on_disk_is_not_made_again(cluster, corpora, cache, tmp_path):
    from tests.support.clusters import BrokenOff, Levels, Noted, WatchedProbe

    folder, output = cache("cache"), tmp_path / "results"
    calls = {name: Noted(tmp_path / name) for name in ("encoded", "trained", "again", "left")}

    def ask(encoded: str, trained: str, **options):
        options |= {"track": WatchedProbe(before=calls[trained]), "engine": "ray", **ASKED}
        return evaluated(Levels(calls[encoded]), corpora, output, **options)

    with pytest.raises(KeyboardInterrupt):
        ask("encoded", "trained", progress=BrokenOff())
    assert len(list(output.glob("*/*/unfinished/[!.]*.part"))) == 1
    on_disk = {path: path.stat() for path in map(folder.joinpath, blocks(folder))}
    result, _ = ask("again", "left")
    assert calls["encoded"].n > 1 == calls["again"].n  # for its number of features
    assert calls["left"].n == len(result.fits) - 1 > 0
    assert all(
        (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
        for path, before in on_disk.items()
    )


def test_a_training_whose_folder_is_in_use_waits_for_it_and_others_do_not(
    cluster, corpora, encoder, cache, tmp_path, monkeypatch
):
    """The worker before was cut off, and the file system has not noticed."""
    from bimotion.evaluation import cluster as engines
    from tests.support.clusters import BrokenOff, Releasing

    cache("cache")
    asked = [encoder, corpora, tmp_path]
    options = {"track": "finetune", "finetune": ONE_EPOCH, **ASKED}
    with pytest.raises(KeyboardInterrupt):
        evaluated(*asked, **options, progress=BrokenOff())
    (part,) = tmp_path.glob("*/*/unfinished/[!.]*.part")
    folder = RunFolder(part.parents[1]).path / "checkpoints" / part.stem
    part.unlink()
    shutil.rmtree(folder / "best")
    with FileLock(folder / ".lock") as lock:
        monkeypatch.setattr(engines, "MAX_IN_USE_S", -1)
        with pytest.raises(ClusterError, match=f"{folder}: expected a lost worker to let go"):
            evaluated(*asked, **options, engine="ray")
        done = set(part.parent.glob("*.part"))
        assert done
        assert part not in done
        monkeypatch.undo()
        result, _ = evaluated(*asked, **options, engine="ray", progress=Releasing(lock))
        assert not lock.is_locked
    assert len(result.fits) == len(done) + 1


def test_a_worker_holds_one_model_that_is_loaded_once(cluster, tmp_path):
    import ray

    from bimotion.evaluation import worker

    def sent(model: Path, schema: str):
        runner = ZeroShot().runner(ModelSpec(str(model), device="cpu"), SCHEMAS[schema])
        return ray.put(ray.cloudpickle.dumps(runner))

    first, other = (
        tiny_models.build("wav2vec2-group", tmp_path / name, id2label=FOUR | {3: name})
        for name in ("sad", "calm")
    )
    runner = worker._runner(sent(first, "valence"))
    model = weakref.ref(runner.classifier)
    runner = worker._runner(sent(first, "emotion"))
    assert runner.classifier is model()
    del runner
    runner = worker._runner(sent(other, "valence"))
    assert model() is None  # before the other is loaded
    assert runner.classifier.outputs[3] == "calm"
    worker._open.clear()


def test_an_encoder_that_fails_on_one_node_is_one_line_with_the_node(cluster, corpora, tmp_path):
    from bimotion.evaluation.cluster import connect
    from tests.support.clusters import Levels

    expected = r"node two \(\w{8}\): levels.encode: expected features, it raised RuntimeError: no"
    with pytest.raises(ModelError, match=expected):
        evaluated(Levels(broken_on="two"), corpora, tmp_path, engine="ray", **ASKED)
    with pytest.raises(SettingError, match=r"RAY_ADDRESS: expected HOST:PORT .* found ray://head"):
        connect("ray://head:10001")
    engine = engine_of("ray", cpus_per_worker=64)
    with pytest.raises(ClusterError, match="expected a node with 64 CPUs and 0 GPUs"):
        evaluated("bimotion/majority", corpora, tmp_path, engine=engine, **ASKED)


def test_a_node_without_corpora_is_named_first_and_can_be_sent_samples(
    cluster, corpora, tmp_path, monkeypatch
):
    """And the features that it lacks, too."""
    from tests.support.clusters import Levels, bare_node

    hidden = corpora.parent
    monkeypatch.setenv("BIMOTION_CACHE", str(hidden / "cache"))
    local, _ = evaluated(Levels(), corpora, tmp_path / "local", **ASKED)
    monkeypatch.setenv("BIMOTION_CACHE", str(hidden / "second"))
    asked = {**ASKED, "engine": "ray"}
    try:
        with bare_node(cluster.address, "bare", hidden) as process:
            expected = rf"node bare \(\w+\): expected the corpora .* found no {hidden}/.*: mount"
            with pytest.raises(ClusterError, match=expected):
                evaluated(Levels(), corpora, tmp_path / "ray", **asked)
            assert blocks(hidden / "second") == {}
            asked["engine"] = engine_of("ray", ship_audio=True)
            sent, _ = evaluated(Levels(), corpora, tmp_path / "ray", **asked)
            seen_by_node = Path(f"/proc/{process}/root{hidden}")
            received = blocks(seen_by_node / "second")
    except PermissionError:
        pytest.skip("this user may not hide a folder from a process (unshare -m)")
    assert predictions([sent], tmp_path / "ray") == predictions([local], tmp_path / "local")
    assert received.items() <= blocks(hidden / "second").items()
    assert blocks(hidden / "second") == blocks(hidden / "cache")
    assert received


def test_a_killed_command_takes_its_cluster_with_it_and_any_engine_goes_on(
    corpora, cache, tmp_path, monkeypatch, caplog
):
    pytest.importorskip("ray", reason=NO_RAY)
    psutil = pytest.importorskip("psutil")
    output = tmp_path / "results"
    cache("ray")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    asked = {**ASKED, "schema": "emotion"}
    command = words(
        "bimotion/prosody", corpora, output, "--only", ",".join(ONLY), "--engine", "ray"
    )
    before = {process.pid for process in psutil.process_iter()}
    killed_at(output, "*/*/unfinished/[!.]*.part", command)
    left = [process for process in psutil.process_iter() if process.pid not in before]
    assert psutil.wait_procs([p for p in left if "raylet" in p.name()], timeout=600)[1] == []
    with caplog.at_level(logging.INFO, logger="bimotion"):
        again, _ = evaluated("bimotion/prosody", corpora, output, **asked)
    assert re.search(r"[12] of 3 jobs to do", caplog.text)
    cache("local")
    whole, _ = evaluated("bimotion/prosody", corpora, tmp_path / "whole", **asked)
    assert predictions([again], output) == predictions([whole], tmp_path / "whole")


def test_a_token_that_a_cluster_does_not_know_or_that_is_missing_is_one_line(corpora, tmp_path):
    pytest.importorskip("ray", reason=NO_RAY)
    from tests.support.clusters import head_with_token

    command = words("bimotion/majority", corpora, tmp_path, "--engine", "ray")
    reasons = {}
    with head_with_token("a" * 64) as address:
        own = {"RAY_ADDRESS": address, "RAY_AUTH_MODE": "token", "HOME": str(tmp_path)}
        own["RAY_NUM_REDIS_GET_RETRIES"] = "1"  # it would try for 20 s
        for token in ({}, {"RAY_AUTH_TOKEN": "b" * 64}):
            ended = subprocess.run(
                [sys.executable, "-m", "bimotion", *command],
                env=os.environ | own | token,
                capture_output=True,
                text=True,
                check=False,
            )
            *_, line = ended.stderr.splitlines()
            start = f"bimotion: {address}: expected a Ray cluster with this RAY_AUTH_MODE and token"
            assert (ended.returncode, line[: len(start)]) == (2, start)
            reasons[len(token)] = line
    assert "no authentication token was found" in reasons[0]
    assert "Failed to connect" in reasons[1]


@pytest.mark.parametrize(
    ("name", "option"),
    [("ship_audio", ["--ship-audio"]), ("gpus_per_worker", ["--gpus-per-worker", "0"])],
)
def test_options_of_ray_are_refused_without_it(name, option, monkeypatch, tmp_path):
    asked = words("bimotion/majority", tmp_path, tmp_path)
    code, _, errors = run_main(monkeypatch, [*asked, *option])
    assert code == 2
    assert errors == f"bimotion: {name}: expected with engine ray, found local\n"


@pytest.mark.parametrize(
    ("gpus", "device", "expected"),
    [
        (None, "cuda:1", r"expected cuda \(Ray chooses which\), found cuda:1"),
        (0.5, "cuda:0", r"expected cuda with 0.5 GPUs a worker \(.*\), found cuda:0"),
        (1, "cpu", "expected cuda with 1 GPUs a worker"),
        (0, "cuda", "expected cpu with 0 GPUs a worker"),
    ],
)
def test_ray_chooses_which_gpu_and_the_user_which_kind(gpus, device, expected):
    pytest.importorskip("ray", reason=NO_RAY)
    torch = pytest.importorskip("torch")
    engine = engine_of("ray", gpus_per_worker=gpus)
    with pytest.raises(SettingError, match=f"device: {expected}"):
        engine.placed(ModelSpec("some/model", device=device))
    for kind, n_gpus in (("cpu", 0), (None, int(torch.cuda.is_available()))):
        engine = engine_of("ray")
        assert engine.placed(ModelSpec("some/model", device=kind)).device == ("cpu", "cuda")[n_gpus]
        assert engine._gpus == n_gpus
        engine.close()
        assert engine._gpus == 0


@pytest.mark.parametrize(
    ("gpus", "n_cpus", "n_gpus", "expected"),
    [(0, 7, 0, 3), (0.4, 16, 2, 4), (0.1, 64, 1, 10), (1, 3, 4, 1), (2, 16, 5, 2), (0.5, 8, 0, 0)],
)
def test_no_worker_has_shares_of_two_gpus(gpus, n_cpus, n_gpus, expected):
    pytest.importorskip("ray", reason=NO_RAY)
    engine = engine_of("ray", cpus_per_worker=2, gpus_per_worker=gpus)
    assert engine._places({"Resources": {"CPU": n_cpus, "GPU": n_gpus}}, gpus) == expected
    for wrong in (1.5, 0.00005):
        with pytest.raises(SettingError, match=f"a share from 0.0001 .* found {wrong:g}"):
            engine_of("ray", gpus_per_worker=wrong)


def test_what_cannot_be_loaded_on_a_node_says_why():
    pytest.importorskip("ray", reason=NO_RAY)
    from bimotion.evaluation.worker import _unpickled

    with pytest.raises(
        ModelError, match=r"load what was sent, found ModuleNotFoundError: .*my_enc"
    ):
        _unpickled(b"cmy_encoders\nBank\n.")


def test_questions_are_asked_once_and_name_no_engine(corpora, tmp_path):
    asked = {"model": "bimotion/majority", "data_dir": corpora, "allow_missing": True, **ASKED}
    asked |= {"split_rule": "paper", "output": tmp_path}
    with pytest.raises(SettingError, match="each run once, found it asked for again"):
        list(run.evaluate_all([asked, asked]))
    with pytest.raises(SettingError, match="engine: expected one for all questions"):
        list(run.evaluate_all([asked | {"engine": "ray"}]))


def test_without_ray_engine_ray_names_the_extra(monkeypatch):
    monkeypatch.delitem(sys.modules, "bimotion.evaluation.cluster", raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"engine ray needs .*'bimotion\[cluster\]'"):
        engine_of("ray")
    monkeypatch.setitem(sys.modules, "bimotion.evaluation.cluster", None)  # no matter of extras
    with pytest.raises(ModuleNotFoundError):
        engine_of("ray")
