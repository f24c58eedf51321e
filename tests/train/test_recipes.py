# Licensed under a 3-clause BSD style license - see LICENSE
"""Recipes: what may be said in them, and what is said when something else is."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning", exc_type=ImportError)
pytest.importorskip("onnxscript", exc_type=ImportError)

from astro_photz.train import ContrastiveModel, Recipe, RedshiftModel, list_recipes
from astro_photz.train.tasks.labels import hard_labels
from astro_photz.train.tasks.optimizer import SCHEDULES, Optimizer
from astro_photz.train.tasks.redshift import parameter_groups


@pytest.mark.parametrize("name", list_recipes())
def test_a_recipe_survives_being_written(tmp_path, name):
    recipe = Recipe.read(name)
    assert recipe.name == name
    (tmp_path / "again.toml").write_text(recipe.as_toml(), encoding="utf-8")
    assert Recipe.read(tmp_path / "again.toml") == recipe
    (tmp_path / "again.toml").write_text(recipe.as_toml(), encoding="utf-8-sig", newline="\r\n")  # as on Windows
    assert Recipe.read(tmp_path / "again.toml") == recipe


@pytest.mark.parametrize("name", list_recipes())
def test_a_recipe_of_before_there_were_these_settings_is_the_same(tmp_path, name):
    """As it lies in the folders of runs."""
    new = ("contrastive_weight", "similar_negatives", "fill", "bands")
    lines = Recipe.read(name).as_toml().splitlines()
    old = [line for line in lines if not line.startswith(new)]
    assert len(old) < len(lines)
    (tmp_path / "old.toml").write_text("\n".join(old), encoding="utf-8")
    assert Recipe.read(tmp_path / "old.toml") == Recipe.read(name)
    assert (Recipe.read(name).pretrain.contrastive_weight, Recipe.read(name).pretrain.similar_negatives) == (1, 0)


@pytest.mark.parametrize("name", ["small", "smoke"])
def test_models_take_what_recipes_say(name):
    recipe = Recipe.read(name)
    assert ContrastiveModel(encoder=recipe.encoder, **recipe.pretrain.model_options()).hparams.groups >= 2
    assert RedshiftModel(encoder=recipe.encoder, **recipe.finetune.model_options()).hparams.loss == recipe.finetune.loss


def test_the_reference_method_is_as_published():
    recipe = Recipe.read("hayat2021")
    published = {"kind": "resnet50", "width": 64, "scaling": "none", "stem": "published"}
    assert recipe.encoder == published | {"photometry": False, "bottleneck": 0}
    for training in (recipe.pretrain, recipe.finetune):
        assert training.augment["crop"] == {"size": 64, "jitter": 7}
        assert training.augment["rotate"]["corners"] == "zero"
    assert recipe.pretrain.augment["redden"] == {"ebv_max": 0.5}
    assert recipe.pretrain.photometry_weight == 0
    assert recipe.finetune.loss == "cross_entropy"
    assert recipe.finetune.optimizer.milestones == (0.6, 0.9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("pretrain.epoch = 3", r"recipe 'smoke': unknown setting 'epoch' in \[pretrain\]: did you mean 'epochs'\?"),
        ("pretain.epochs = 3", r"unknown setting 'pretain': did you mean 'pretrain'\?"),
        ("pretrain.optimizer.learn_rate = 3", r"'learn_rate' in \[pretrain.optimizer\]: did you mean 'learning_rate'"),
        ("encoder.widt = 3", r"unknown option 'widt' of the encoder 'resnet18': did you mean 'width'"),
        ("encoder.kind = 'resnet19'", r"unknown kind of encoder 'resnet19'"),
        ("pretrain.augment.nose = {}", r"unknown augmentation 'nose': did you mean 'noise'"),
        ("pretrain.epochs = 2.5", r"epochs in \[pretrain\] must be a whole number, got 2.5"),
        ("pretrain.epochs = 0", r"epochs must be at least 1, got 0 in \[pretrain\]"),
        ("pretrain.symmetric = 1", r"symmetric in \[pretrain\] must be true or false, got 1"),
        ("pretrain.momentum = 1.0", r"momentum must be 0 or more and below 1, got 1.0"),
        ("pretrain.temperature = 0", r"temperature must be above 0"),
        ("pretrain.similar_negatives = -1", r"similar_negatives must be at least 0, got -1 in \[pretrain\]"),
        ("pretrain.similar_negatives = 9999", r"similar_negatives must be at most queue_length \(\d+\).* got 9999"),
        ("pretrain.contrastive_weight = -1", r"contrastive_weight must be at least 0, got -1"),
        ("pretrain = {contrastive_weight = 0, photometry_weight = 0}", r"contrastive_weight must be above 0 if"),
        ("pretrain.batch_size = 31", r"batch_size must be a multiple of groups \(2\), got 31"),
        ("finetune.loss = 'mse'", r"loss must be one of soft, cross_entropy, got 'mse'"),
        ("finetune.keep = first", r"keep must be one of best, last, got 'first'"),
        ("finetune = {keep = 'last', patience = 2}", r"keep must be 'best' with patience 2"),
        (
            "finetune = {keep = 'last', epochs = 5, validate_every = 2}",
            r"validate_every must divide the 5 epochs with keep 'last', got 2",
        ),
        ("finetune.precision = '16'", r"precision must be one of 32-true"),
        ("finetune.optimizer.schedule = 'linear'", r"schedule must be one of one_cycle, cosine"),
        ("finetune.optimizer.milestones = [60, 90]", r"milestones must be a share of the training"),
        (
            "finetune.augment.crop.size = 48",
            r"size must be 64 in \[finetune.augment.crop\], what the encoder sees, got 48",
        ),
        ("finetune.optimizer = 3", r"optimizer must be a table of settings, got 3"),
        ("finetune.loss = mse", r"loss must be one of soft, cross_entropy, got 'mse'"),
        ("nonsense", r"'nonsense' is no line of TOML"),
        ("finetune.loss = not a word", r"is no line of TOML"),
    ],
)
def test_what_cannot_be_is_told_with_what_can(change, message):
    with pytest.raises((ValueError, TypeError), match=message):
        Recipe.read("smoke", changes=[change])


def test_a_word_needs_no_quotes():
    """A shell takes them away."""
    for change in (
        "finetune.loss=cross_entropy",
        "finetune.loss = 'cross_entropy'",
        'finetune.loss="cross_entropy" # or',
    ):
        assert Recipe.read("smoke", changes=[change]).finetune.loss == "cross_entropy"
    assert Recipe.read("smoke", changes=["finetune.frozen=true"]).finetune.frozen is True
    assert Recipe.read("smoke", changes=["pretrain.precision=bf16-mixed"]).pretrain.precision == "bf16-mixed"


def test_a_file_that_is_none_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no recipe 'absent': neither a TOML file, nor one of gentle"):
        Recipe.read("absent")
    (tmp_path / "bad.toml").write_text("[encoder\n")
    with pytest.raises(ValueError, match=r"bad.toml' is not TOML"):
        Recipe.read(tmp_path / "bad.toml")
    (tmp_path / "bad.toml").write_text("[encoder]", encoding="utf-16")
    with pytest.raises(ValueError, match=r"bad.toml' is not TOML: 'utf-8' codec"):
        Recipe.read(tmp_path / "bad.toml")
    (tmp_path / "kindless.toml").write_text("[encoder]\nwidth = 3\n")
    with pytest.raises(ValueError, match=r"kindless.toml': encoder must say its kind"):
        Recipe.read(tmp_path / "kindless.toml")


def rates(steps=100, **options):
    """Learning rate at each step."""
    made = Optimizer(learning_rate=1.0, **options).make([torch.nn.Parameter(torch.zeros(1))], steps=steps)
    optimizer, schedule = made["optimizer"], made["lr_scheduler"]["scheduler"]
    seen = []
    for _ in range(steps):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return seen


@pytest.mark.parametrize("name", ["adamw", "sgd"])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_learning_rates_rise_to_the_highest_and_fall(name, schedule):
    seen = rates(name=name, schedule=schedule, warmup=0.1)
    assert max(seen) == pytest.approx(1.0, abs=0.03)
    assert seen[0] < 0.1
    assert seen.index(max(seen)) == pytest.approx(10, abs=2)
    assert sorted(seen[12:], reverse=True) == seen[12:]
    if schedule != "constant":
        assert seen[-1] < 0.02


def test_a_warm_up_of_less_than_a_step_is_none():
    seen = rates(steps=8, name="adamw", schedule="cosine", warmup=0.05)
    assert seen == rates(steps=8, name="adamw", schedule="cosine", warmup=0.0)
    assert seen[0] == 1.0


def test_published_steps_are_at_60_and_90_of_100():
    seen = rates(name="sgd", schedule="steps")
    assert [seen[step] for step in (0, 59, 60, 89, 90, 99)] == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


def test_layers_learn_the_slower_the_farther_they_are_from_the_head():
    model = RedshiftModel(encoder={"kind": "resnet18", "width": 4}, layer_decay=0.5)
    groups = parameter_groups(model.encoder, model.head, layer_decay=0.5)
    rate = {id(p): g["scale"] for g in groups for p in g["params"]}
    assert rate[id(model.head.weight)] == 1
    assert rate[id(model.encoder.layer4[0].conv1.weight)] == 0.5
    assert rate[id(model.encoder.layer1[0].conv1.weight)] == 0.5**4
    assert rate[id(model.encoder.conv1.weight)] == min(rate.values())
    assert len(rate) == len(list(model.parameters()))  # none is left out
    made = Optimizer(learning_rate=0.1, schedule="one_cycle").make(groups, steps=10)["optimizer"]
    assert sorted({g["max_lr"] for g in made.param_groups}, reverse=True)[:2] == pytest.approx([0.1, 0.05])


@pytest.mark.parametrize("warmup", [0.0, 0.01, 0.1, 0.4])
@pytest.mark.parametrize("steps", [2, 4, 10, 100])
def test_one_cycle_rises_and_falls_however_short_it_is(warmup, steps):
    optimizer = Optimizer(name="sgd", momentum=0.5, learning_rate=0.1, schedule="one_cycle", warmup=warmup)
    made = optimizer.make([torch.nn.Parameter(torch.zeros(1))], steps=steps)
    rates = []
    for _ in range(steps):
        (group,) = made["optimizer"].param_groups
        assert group["momentum"] == 0.5
        rates.append(group["lr"])
        made["optimizer"].step()
        if len(rates) < steps:
            made["lr_scheduler"]["scheduler"].step()
    highest = int(np.argmax(rates))
    assert rates[highest] <= 0.1 + 1e-9
    assert np.all(np.diff(rates[: highest + 1]) > 0)
    assert np.all(np.diff(rates[highest:]) < 0)
    assert rates[-1] < 1e-5


def test_layers_of_an_encoder_within_others_are_its_own():
    model = RedshiftModel(encoder={"kind": "resnet18", "width": 4, "photometry": True, "bottleneck": 6})
    groups = parameter_groups(model.encoder, model.head, layer_decay=0.5)
    rate = {id(p): g["scale"] for g in groups for p in g["params"]}
    photometric = model.encoder.encoder
    in_order = [model.head, model.encoder.expand[0], model.encoder.describe[0], photometric.join[0]]
    in_order += [photometric.encoder.layer4[0].conv1, photometric.encoder.layer3[0].conv1]
    assert [rate[id(layer.weight)] for layer in in_order] == [0.5**depth for depth in range(6)]
    assert rate[id(photometric.encoder.conv1.weight)] == min(rate.values())
    assert len(rate) == len(list(model.parameters()))


def test_of_a_frozen_bottleneck_only_what_expands_it_learns():
    model = RedshiftModel(encoder={"kind": "resnet18", "width": 4, "bottleneck": 5}, frozen=True)
    learning = {name.rpartition(".")[0] for name, value in model.named_parameters() if value.requires_grad}
    assert learning == {"encoder.expand.0", "head"}


def test_a_frozen_encoder_neither_learns_nor_changes_its_statistics():
    model = RedshiftModel(encoder={"kind": "resnet18", "width": 4}, frozen=True)
    groups = parameter_groups(model.encoder, model.head, layer_decay=1.0)
    assert [p for g in groups for p in g["params"]] == list(model.head.parameters())
    assert model.training
    assert not model.encoder.training
    before = model.encoder.bn1.running_mean.clone()
    model.train()(torch.randn(4, 5, 64, 64), torch.zeros(4))
    torch.testing.assert_close(model.encoder.bn1.running_mean, before)


def test_hard_labels_are_the_bins_that_redshifts_lie_in():
    redshift = torch.tensor([0.0, 0.0023, 0.3999, 0.4, 0.7])
    assert hard_labels(redshift).tolist() == [0, 1, 179, 179, 179]
