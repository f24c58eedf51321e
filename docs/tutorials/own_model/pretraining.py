"""
From one galaxy to a model
==========================

How a network learns from images without a redshift: views of a galaxy, a pretraining, and what it has learnt.

This is a **toy**: some hundred simulated galaxies and a small network, so that it ends in seconds. It shows each step
of the method, and learns nothing of note. You need ``pip install "astro-photz[plot,train,simulate]"`` and no network.
"""

# %%
# Views of one galaxy
# -------------------
#
# What is a galaxy, and what is a matter of the night? The network sees two views of each galaxy that differ in what has
# nothing to do with its redshift: orientation, place in the stamp, noise, a little dust. It must tell that they are the
# same galaxy.

# sphinx_gallery_tags = ["plot", "train", "simulate", "offline"]
# sphinx_gallery_thumbnail_number = 1
import tempfile
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

import astro_photz
from astro_photz import plots, simulate, train
from astro_photz.train import deredden
from astro_photz.train.augment import make_augmentation

torch.manual_seed(1)
cutouts, truth = simulate.galaxies(3, seed=81, size=107)
augment = make_augmentation(
    {"rotate": {}, "crop": {"jitter": 5}, "redden": {"ebv_max": 0.2}, "noise": {"low": 0.0, "high": 2.0}}
)

fig, axes = plt.subplots(3, 7, figsize=(9.5, 4.2), layout="constrained", subplot_kw={"xticks": [], "yticks": []})
for row, flux, ebv in zip(axes, cutouts.flux, cutouts.ebv, strict=True):
    copies = torch.as_tensor(np.repeat(flux[None], 6, axis=0))
    views = augment(deredden(copies, torch.full((6,), float(ebv))))
    middle = flux[:, 21:85, 21:85]
    for ax, image in zip(row, [middle, *views.numpy()], strict=True):
        ax.imshow(plots.colour_image(image), origin="lower")
axes[0, 0].set_title("the galaxy")
axes[0, 3].set_title("views of it")
plt.show()

# %%
# A pretraining
# -------------
#
# Images in a file, a recipe, and one call. ``smoke`` is the recipe of a test; ``small`` that of the bundled model,
# which takes hours; ``hayat2021`` that of the reference method, for a GPU.

folder = Path(tempfile.mkdtemp())
config = {"sample": {"colours": "measured"}}
simulate.write(folder / "train.h5", 320, seed=82, size=68, config=config, progress=False)
simulate.write(folder / "validation.h5", 120, seed=83, size=68, split="validation", config=config, progress=False)

machine = train.Machine(accelerator="cpu", devices=1, threads=1, progress=False)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Lightning warns of few workers and short logs
    pretrained = train.pretrain(
        "smoke", folder / "train.h5", folder / "pretrained", validation=folder / "validation.h5", machine=machine
    )
for step, scatter in pretrained["probe_sigma_mad"]:
    print(f"step {step:2d}: a linear probe of the embedding has a scatter of {scatter:.4f} in redshift")

# %%
# Fine-tuning, and a model
# ------------------------
#
# With redshifts, the network learns the last step. ``export_run`` calibrates it and writes the folder that ``predict``
# takes.

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    train.finetune(
        "smoke",
        folder / "train.h5",
        folder / "finetuned",
        validation=folder / "validation.h5",
        init=folder / "pretrained",
        machine=machine,
    )
    train.export_run(folder / "finetuned", folder / "mine")
model = astro_photz.load_model(folder / "mine")
print(model.card.name, "was trained on", model.card.trained_on)

# %%
# Use it
# ------

test, known = simulate.galaxies(150, seed=84, split="test", config=config)
table = astro_photz.predict(test, model=model, pdf=True)
table["redshift"] = known["redshift"]
bundled = astro_photz.predict(test)

fig, axes = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
for ax, estimate, title in ((axes[0], table, "the toy"), (axes[1], bundled, "the bundled model")):
    plots.plot_redshifts(estimate, np.asarray(known["redshift"]), residuals=False, flagged=True, ax=ax)
    ax.set_title(title)
plt.show()

# %%
# A few hundred images and two epochs give a network that knows next to nothing. The bundled model differs from it by
# the number of images, of epochs and of weights only: the steps are these.
