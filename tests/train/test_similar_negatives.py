# Licensed under a 3-clause BSD style license - see LICENSE
"""What a query is told from, and how much telling counts: similar negatives, and the weights of the two tasks."""

import copy
import math

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning", exc_type=ImportError)
pytest.importorskip("onnxscript", exc_type=ImportError)

from small_pretraining import make_batch, make_model, take_steps, unit, with_catalogue

from astro_photz.train.networks.photometry import aperture_photometry, brightness_and_size, catalog_photometry
from astro_photz.train.tasks.contrastive import KeyQueue, contrastive_loss, most_similar

# The loss and the queue


def test_the_loss_with_chosen_negatives_is_that_of_each_query_among_them():
    """Against a loop over queries and negatives."""
    query, key, others = unit(6, 8), unit(6, 8, seed=1), unit(50, 8, seed=2)
    negatives = torch.stack([torch.randperm(50)[:7] for _ in range(6)])
    expected = 0.0
    for row in range(6):
        own = math.exp(float(query[row] @ key[row]) / 0.2)
        wrong = sum(math.exp(float(query[row] @ others[place]) / 0.2) for place in negatives[row].tolist())
        expected -= math.log(own / (own + wrong)) / 6
    loss = contrastive_loss(query, key, others, temperature=0.2, negatives=negatives)
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    every = torch.arange(50).expand(6, -1)
    whole = contrastive_loss(query, key, others, temperature=0.2)
    torch.testing.assert_close(contrastive_loss(query, key, others, temperature=0.2, negatives=every), whole)


def test_the_most_similar_are_the_nearest_and_the_unknown_come_last():
    generator = torch.Generator().manual_seed(0)
    query, others = torch.randn(5, 2, generator=generator), torch.randn(40, 2, generator=generator)
    others[3, 0] = others[17, 1] = torch.nan
    known = [place for place in range(40) if place not in (3, 17)]
    for row, found in zip(query, most_similar(query, others, n=9), strict=True):
        assert found.tolist() == sorted(known, key=lambda place: math.dist(row, others[place]))[:9]
    assert all({3, 17} == set(found[-2:].tolist()) for found in most_similar(query, others, n=40))
    assert most_similar(query, others, n=99).shape == (5, 40)
    unknown = most_similar(torch.full((1, 2), torch.nan), others, n=9)
    assert len(set(unknown[0].tolist())) == 9  # any


def test_the_queue_keeps_brightness_and_size_beside_its_keys():
    queue = KeyQueue(12, 5, with_photometry=True)
    assert queue.photometry.isnan().all()
    for seed in range(4):
        keys = unit(4, 5, seed=seed)
        queue.append(keys, keys[:, :2])
    torch.testing.assert_close(queue.photometry, queue.keys[:, :2])
    assert set(KeyQueue(12, 5).state_dict()) == {"keys", "place"}  # as in checkpoints from before there was that


# A step


def loss_of_second_step(**options):
    """When there are galaxies in the queue."""
    model = make_model(**options)
    for seed in (0, 1):
        torch.manual_seed(seed)
        loss = model.training_step(with_catalogue(make_batch(16, seed=seed)), seed)
    return loss


@pytest.mark.parametrize("photometry", ["apertures", "catalog"])
def test_similar_negatives_are_all_if_there_are_no_more_and_fewer_are_told_from_sooner(photometry):
    options = {"photometry": photometry, "similar_negatives": 32}
    torch.testing.assert_close(loss_of_second_step(**options), loss_of_second_step())
    assert loss_of_second_step(**options | {"similar_negatives": 4}) < loss_of_second_step()


def test_similar_negatives_are_alike_in_brightness_and_size_of_the_catalogue():
    model = make_model(photometry="catalog", similar_negatives=3)
    batches = [with_catalogue(make_batch(16, seed=seed)) for seed in (0, 1)]
    model.training_step(batches[0], 0)
    seen, other = (
        brightness_and_size(catalog_photometry(batch["catalog_flux"], batch["catalog_radius"], batch["ebv"]))
        for batch in batches
    )
    torch.testing.assert_close(model.queue.photometry[:16], seen)
    _, negatives = model._choose(model._measure(batches[1], None))
    torch.testing.assert_close(negatives, torch.cdist(other, seen).topk(3, largest=False).indices)


def test_brightness_and_size_of_apertures_follow_those_of_the_galaxy():
    """A brighter galaxy has a smaller first number, a larger one a larger second, whatever the other."""
    axis = torch.arange(64) - 31.5
    square = axis.square()[:, None] + axis.square()
    width, peak = torch.tensor([2.0, 2.0, 5.0, 5.0]), torch.tensor([40.0, 400.0, 40.0, 400.0])
    flux = (peak / width.square())[:, None, None] * torch.exp(-0.5 * square / width.square()[:, None, None])
    brightness, size = brightness_and_size(aperture_photometry(flux[:, None].repeat(1, 5, 1, 1))).T
    assert max(brightness[1], brightness[3]) < min(brightness[0], brightness[2])
    assert max(size[:2]) < min(size[2:])


# The weights


def test_the_loss_is_the_weighted_sum_of_both_tasks():
    model = make_model(photometry_weight=1.0)

    def loss(weight):
        model.hparams.contrastive_weight = weight
        torch.manual_seed(0)
        return copy.deepcopy(model).training_step(make_batch(), 0)

    torch.testing.assert_close(loss(2.0) - loss(1.0), loss(1.0) - loss(0.0))


def test_the_auxiliary_task_alone_leaves_the_contrastive_one_untouched():
    model = make_model(photometry_weight=1.0, contrastive_weight=0.0)
    kept = ("query.projection", "key.module.projection", "queue")
    before = copy.deepcopy(model.state_dict())
    take_steps(model, make_batch(16), n=3)
    model.key.update_parameters(model.query)
    after = model.state_dict()
    for name in (name for name in before if name.startswith(kept)):
        torch.testing.assert_close(after[name], before[name], rtol=0, atol=0)
    assert not torch.equal(after["query.encoder.conv1.weight"], before["query.encoder.conv1.weight"])
