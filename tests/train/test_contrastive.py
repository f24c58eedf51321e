# Licensed under a 3-clause BSD style license - see LICENSE
"""Contrastive pretraining: its loss, its queue, what batch normalisation may not betray, and several processes."""

import copy
import math
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
lightning = pytest.importorskip("lightning.pytorch", exc_type=ImportError)
pytest.importorskip("onnxscript", exc_type=ImportError)

from small_pretraining import make_batch, make_model, take_steps, unit, with_catalogue

from astro_photz.testing.factories import gaussian_cutouts
from astro_photz.train.networks.dereddening import deredden
from astro_photz.train.networks.photometry import aperture_photometry, catalog_photometry
from astro_photz.train.tasks.contrastive import KeyQueue, contrastive_loss, in_groups, queue_length
from astro_photz.train.tasks.moco import photometry_loss


class Given(torch.nn.Module):
    """Views that are given, one after the other."""

    def __init__(self, *views):
        super().__init__()
        self.left = list(views)

    def forward(self, flux):
        return self.left.pop(0)


# The loss and the queue


def test_the_loss_of_guessing_is_the_logarithm_of_the_choices():
    query, others = unit(6, 8), unit(1, 8, seed=1).expand(99, -1)
    assert contrastive_loss(query, others[:6], others, temperature=0.1) == pytest.approx(math.log(100), rel=1e-5)


def test_the_loss_falls_as_queries_near_their_keys_and_knows_no_other_galaxy():
    key, others = unit(6, 64), unit(50, 64, seed=1)
    near = torch.nn.functional.normalize(key + 0.3 * unit(6, 64, seed=2), dim=1)
    losses = [
        float(contrastive_loss(query, key, others, temperature=0.1)) for query in (key, near, unit(6, 64, seed=3))
    ]
    assert losses == sorted(losses)
    assert losses[0] < 0.1 < 2 < losses[2]


def test_the_queue_holds_the_last_keys():
    queue = KeyQueue(12, 5)
    batches = [unit(4, 5, seed=seed) for seed in range(5)]
    for keys in batches:
        queue.append(keys)
    expected = torch.cat([batches[3], batches[4], batches[2]])
    torch.testing.assert_close(queue.keys, expected)
    with pytest.raises(ValueError, match=r"queue of 12 keys must be a multiple of the batch of 5"):
        queue.append(unit(5, 5))


@pytest.mark.parametrize(
    ("wanted", "n_images", "expected"), [(65536, 40_000, 3840), (1000, 10**6, 768), (512, 5120, 512)]
)
def test_a_queue_is_of_whole_batches_and_at_most_a_tenth_of_the_images(wanted, n_images, expected):
    assert queue_length(wanted, n_images=n_images, batch_size=256) == expected


def test_too_few_images_for_a_queue_are_refused():
    with pytest.raises(
        ValueError, match=r"batch_size 256 must be at most queue_length \(4096\) and a tenth of the 2000"
    ):
        queue_length(4096, n_images=2000, batch_size=256)


# Batch normalisation


def test_results_of_shuffled_groups_are_in_the_images_order():
    images = torch.arange(12.0)[:, None]
    doubled = in_groups(lambda x: 2 * x, images, groups=3, shuffle=True)
    torch.testing.assert_close(doubled, 2 * images)
    first, second = in_groups(lambda x: (x, -x), images, groups=3, shuffle=True)
    torch.testing.assert_close(first, -second)


def test_a_group_sees_nothing_of_the_others():
    norm = torch.nn.BatchNorm1d(3).train()
    x = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
    other = torch.cat([x[:4], 5 * x[4:]])
    torch.testing.assert_close(in_groups(norm, x, groups=2)[:4], in_groups(norm, other, groups=2)[:4])
    assert not torch.allclose(in_groups(norm, x, groups=1)[:4], in_groups(norm, other, groups=1)[:4])


def test_queries_and_keys_are_not_normalised_in_the_same_company():
    # A network that tells nothing but its group's statistics: with one group it would find every key.
    norm = torch.nn.BatchNorm1d(1, affine=False).train()
    company = []
    norm.register_forward_pre_hook(lambda module, inputs: company.append(frozenset(inputs[0][:, 0].tolist())))
    torch.manual_seed(0)
    images = torch.arange(64.0)[:, None]
    in_groups(norm, images, groups=4)
    in_groups(norm, images, groups=4, shuffle=True)
    queries, keys = company[:4], company[4:]
    shared = [len(one & another) for one in queries for another in keys]
    assert max(shared) <= 9  # 4 of 16 by chance, 16 if they were the same
    assert frozenset().union(*keys) == frozenset(range(64))


# A step


def test_the_key_encoder_follows_slowly_buffers_and_all():
    model = make_model(momentum=0.9)
    before = copy.deepcopy(model.key.module.state_dict())
    model.key.update_parameters(model.query)  # the first time, it becomes equal
    optimizer = torch.optim.SGD(model.query.parameters(), lr=0.1)
    model.training_step(make_batch(), 0).backward()
    optimizer.step()
    before = copy.deepcopy(model.key.module.state_dict())
    model.key.update_parameters(model.query)
    query, key = model.query.state_dict(), model.key.module.state_dict()
    moved = 0
    for name, value in key.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, 0.9 * before[name] + 0.1 * query[name])
            moved += not torch.equal(value, before[name])
    assert moved > len(key) / 3
    assert any("running_mean" in name and not torch.equal(key[name], before[name]) for name in key)


def test_a_step_of_the_optimizer_moves_the_key_encoder(tmp_path):
    model = make_model(momentum=0.9)
    model.key.update_parameters(model.query)  # the first time, it becomes equal
    before = copy.deepcopy(model.key.module.state_dict())
    one = {name: value[0] for name, value in make_batch().items()}
    options = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = lightning.Trainer(accelerator="cpu", max_steps=2, default_root_dir=tmp_path, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's advice on loaders and logging
        trainer.fit(model, torch.utils.data.DataLoader([one] * 16, batch_size=8))
    weight = next(name for name in before if name.endswith("conv1.weight"))
    key, query = model.key.module.state_dict()[weight], model.query.state_dict()[weight]
    assert not torch.equal(key, before[weight])
    assert (key - before[weight]).norm() < 0.5 * (query - before[weight]).norm()  # and slowly


def test_keys_of_a_step_are_normalised_in_other_company_than_its_queries():
    model = make_model(groups=4)
    company = {"query": [], "key": []}
    views = torch.randn(2, 16, 5, 64, 64)
    views[:, :, 0, 0, 0] = torch.arange(16.0)  # by which an image is known
    model.augment = Given(*views)

    def look(name):
        return lambda module, inputs: company[name].append(frozenset(inputs[0][:, 0, 0, 0].tolist()))

    model.query.register_forward_pre_hook(look("query"))
    model.key.register_forward_pre_hook(look("key"))
    torch.manual_seed(0)
    model.training_step(make_batch(16), 0)
    assert [len(group) for group in company["query"]] == [len(group) for group in company["key"]] == [4] * 4
    assert frozenset().union(*company["query"]) == frozenset().union(*company["key"]) == frozenset(range(16))
    assert not set(company["query"]) & set(company["key"])


def test_only_the_query_encoder_and_the_heads_learn():
    model = make_model(photometry_weight=1.0)
    model.training_step(make_batch(), 0).backward()
    with_gradient = {name.partition(".")[0] for name, value in model.named_parameters() if value.grad is not None}
    assert with_gradient == {"query", "predict"}
    assert all(value.grad is not None for value in model.query.parameters())


def test_keys_of_a_step_join_the_queue_after_it():
    model = make_model()
    before = model.queue.keys.clone()
    loss = model.training_step(make_batch(), 0)
    torch.testing.assert_close(model.queue.keys[8:], before[8:])
    assert not torch.allclose(model.queue.keys[:8], before[:8])
    torch.testing.assert_close(model.queue.keys.norm(dim=1), torch.ones(32))
    loss.backward()  # which needs the queue as it was


def test_symmetric_is_the_mean_of_both_ways():
    model = make_model(groups=1)
    model.augment = torch.nn.Identity()
    model.hparams.symmetric = False
    batch = {name: value[..., 2:-2, 2:-2] if name == "flux" else value for name, value in make_batch().items()}
    one = copy.deepcopy(model).training_step(batch, 0)
    model.hparams.symmetric = True
    torch.testing.assert_close(model.training_step(batch, 0), one)  # the two views are equal here


def test_symmetric_asks_either_view_for_the_other():
    views = [make_batch()["flux"][..., 2:-2, 2:-2], 3 * make_batch()["flux"][..., :-4, :-4]]

    def loss(*order, symmetric=False):
        model = make_model(groups=1, symmetric=symmetric)  # the same weights each time
        model.augment = Given(*(views[place] for place in order))
        return model.training_step(make_batch(), 0)

    there, back = loss(0, 1), loss(1, 0)
    assert not torch.allclose(there, back, rtol=1e-4)
    torch.testing.assert_close(loss(0, 1, symmetric=True), (there + back) / 2)


def test_the_auxiliary_task_teaches_photometry():
    assert make_model(photometry_weight=0.0).predict is None
    model = make_model(photometry_weight=1.0)
    batch = make_batch(16)
    clean = deredden(batch["flux"], batch["ebv"])

    def error():
        torch.manual_seed(1)
        with torch.no_grad():
            features, _ = model.query(model.augment(clean))
            return float(photometry_loss(model.predict(features), aperture_photometry(clean)))

    before = error()
    take_steps(model, batch)
    assert error() < before - 0.7  # a logarithm: half of what it was


def test_in_the_auxiliary_task_each_quantity_counts_alike():
    """What noise keeps from being predicted well does not drown what can be."""
    measured = torch.randn(200, 15).clamp(-3, 3) * torch.tensor([0.1, 0.3, 0.01]).repeat(5)
    predicted = torch.zeros(200, 15, requires_grad=True)
    photometry_loss(predicted, measured).backward()
    pull = -(predicted.grad * measured).sum(dim=0)  # by how much the loss falls as a prediction grows to the truth
    torch.testing.assert_close(pull, torch.full((15,), 2 / 15))


def test_a_quantity_that_nobody_in_the_batch_has_does_not_count():
    """The mean is over the others, not with a loss of its own, nor with fewer in the sum."""
    predicted, measured = torch.randn(6, 4), torch.randn(6, 4)
    unknown = measured.clone()
    unknown[:, 2] = torch.nan
    others = [0, 1, 3]
    torch.testing.assert_close(
        photometry_loss(predicted, unknown), photometry_loss(predicted[:, others], measured[:, others])
    )
    assert photometry_loss(predicted, torch.full_like(measured, torch.nan)) == 0


def test_a_quantity_that_a_galaxy_lacks_is_the_mean_over_the_other_galaxies():
    predicted, measured = torch.randn(6, 4), torch.randn(6, 4)
    unknown = measured.clone()
    unknown[3:, 1] = torch.nan
    alone = [photometry_loss(predicted[:n, [k]], measured[:n, [k]]) for k, n in enumerate((6, 3, 6, 6))]
    torch.testing.assert_close(photometry_loss(predicted, unknown), torch.stack(alone).mean())


def test_a_band_without_pixels_teaches_nothing():
    model = make_model(photometry_weight=1.0)
    batch = make_batch()
    batch["flux"][:, 0] = torch.nan
    loss = model.training_step(batch, 0)
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(value.grad).all() for value in model.query.parameters())


def test_a_bottleneck_learns_what_a_catalogue_says():
    model, batch = make_model(bottleneck=8, photometry="catalog", photometry_weight=1.0), with_catalogue(make_batch(16))
    expand = copy.deepcopy(model.encoder.expand.state_dict())
    measured = catalog_photometry(batch["catalog_flux"], batch["catalog_radius"], batch["ebv"])

    def error():
        with torch.no_grad():
            features, _ = model.query(model.augment(deredden(batch["flux"], batch["ebv"])))
            return (model.encoder.describe(features)[:, :6] - measured).abs().median()

    before = error()
    take_steps(model, batch)
    assert error() < before / 2
    torch.testing.assert_close(model.encoder.expand.state_dict(), expand, rtol=0, atol=0)


def test_a_bottleneck_that_nothing_would_teach_is_refused():
    with pytest.raises(ValueError, match=r"bottleneck must be 0 if pretrain\.photometry_weight is, .* got 6"):
        make_model(bottleneck=6)


def test_a_bottleneck_has_room_for_the_photometry():
    with pytest.raises(ValueError, match=r"encoder\.bottleneck must be at least 6, or 0 for none, .* got 5"):
        make_model(bottleneck=5, photometry="catalog", photometry_weight=1.0)


def test_what_a_catalogue_does_not_know_teaches_nothing():
    model, batch = make_model(bottleneck=6, photometry="catalog", photometry_weight=1.0), with_catalogue(make_batch())
    batch["catalog_flux"][:, 0], batch["catalog_radius"][2] = torch.nan, -9999.0
    model.training_step(batch, 0).backward()
    last = model.encoder.describe[-1].weight.grad
    assert torch.isfinite(last).all()
    assert (last[1] == 0).all()  # u - g
    assert all((last[one] != 0).any() for one in (0, 2, 3, 4, 5))


# Several processes

TWO_PROCESSES = """
import sys
import torch
from torch.nn.parallel import DistributedDataParallel
from small_pretraining import make_batch, make_model

torch.distributed.init_process_group("gloo")
rank = torch.distributed.get_rank()

class Step(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.model = make_model(photometry_weight=1.0, similar_negatives=4)

    def forward(self, batch):
        return self.model.training_step(batch, 0)

step = Step()
parallel = DistributedDataParallel(step, broadcast_buffers=False)
torch.manual_seed(100 + rank)
parallel(make_batch(8, seed=rank)).backward()
state = {"queue": step.model.queue.state_dict(), "gradients": [p.grad for p in step.model.query.parameters()]}
torch.save(state, f"{sys.argv[1]}/after_a_step_{rank}.pt")

from small_runs import small_recipe
from astro_photz.train import Machine, pretrain
machine = Machine(accelerator="cpu", devices=2, progress=False)
pretrain(small_recipe("pretrain.epochs = 1"), f"{sys.argv[1]}/stamps.h5", f"{sys.argv[1]}/run", machine=machine)
"""


def test_two_processes_are_as_one(tmp_path):
    gaussian_cutouts(160, size=68).write(tmp_path / "stamps.h5")
    (tmp_path / "two.py").write_text(TWO_PROCESSES)
    paths = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "two.py", tmp_path],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, second = (torch.load(tmp_path / f"after_a_step_{rank}.pt", weights_only=True) for rank in (0, 1))
    torch.testing.assert_close(first, second, rtol=0, atol=0, equal_nan=True)  # of keys that are of no galaxy yet

    halves = []
    for rank in (0, 1):
        model = make_model(photometry_weight=1.0, similar_negatives=4)
        torch.manual_seed(100 + rank)
        model.training_step(make_batch(8, seed=rank), 0).backward()
        halves.append(model)
    keys = torch.cat([model.queue.keys[:8] for model in halves])
    torch.testing.assert_close(first["queue"]["keys"][:16], keys, rtol=1e-4, atol=1e-6)
    assert int(first["queue"]["place"]) == 16
    photometry = torch.cat([model.queue.photometry[:8] for model in halves])
    torch.testing.assert_close(first["queue"]["photometry"][:16], photometry, rtol=1e-4, atol=1e-6)
    for gradient, *pair in zip(first["gradients"], *(model.query.parameters() for model in halves), strict=True):
        mean = (pair[0].grad + pair[1].grad) / 2
        torch.testing.assert_close(gradient, mean, rtol=1e-4, atol=1e-4 * float(mean.abs().max()))

    last = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["global_step"] == 160 // 16
    assert torch.isfinite(last["state_dict"]["queue.keys"]).all()
