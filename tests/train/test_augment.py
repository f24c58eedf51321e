# Licensed under a 3-clause BSD style license - see LICENSE
"""What augmentations change of a galaxy, and what they leave."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning", exc_type=ImportError)
pytest.importorskip("onnxscript", exc_type=ImportError)

from plain_stamps import SKY_RMS, galaxies, noise, radius

from astro_photz.sdss import R_UGRIZ
from astro_photz.train.augment.chain import STEPS, augmentation_settings, make_augmentation
from astro_photz.train.augment.geometry import JitterCrop, RotateFlip, SizeScaling
from astro_photz.train.augment.light import Blur, MissingPixels, Noise, Normalisation, Reddening, noise_rms
from astro_photz.train.networks.dereddening import deredden
from astro_photz.train.tensors import central

OPTIONS = {"scale": {"factor": 1.2}, "rotate": {"size": 74}, "crop": {"size": 64, "jitter": 5}}
EACH = [step(**OPTIONS.get(name, {})) for name, step in STEPS.items()]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_a_recipe_that_names_a_step_alone_gets_its_defaults():
    wanted = {"crop": {"size": 64, "jitter": 0}, "redden": {"ebv_max": 0.5}}
    wanted["noise"] = {"low": 0.0, "high": 1.0, "fill": False}
    assert augmentation_settings({"redden": {}, "noise": {}, "scale": {}}) == {"scale": {"factor": 1.1}} | wanted


# What holds for all


@pytest.mark.parametrize("module", EACH, ids=lambda module: type(module).__name__)
def test_nothing_is_changed_unless_training(module):
    flux = noise(2, size=107)
    module.eval()
    torch.testing.assert_close(central(module(flux), 64), central(flux, 64), rtol=0, atol=0)


@pytest.mark.parametrize("module", EACH, ids=lambda module: type(module).__name__)
def test_each_stamp_has_a_draw_of_its_own_from_the_global_generator(module):
    flux = noise(1, size=107).expand(100, -1, -1, -1)
    module.train()
    torch.manual_seed(1)
    first = module(flux).nan_to_num()
    torch.manual_seed(1)
    torch.testing.assert_close(module(flux).nan_to_num(), first, rtol=0, atol=0)
    untouched = central(flux[:1], first.shape[-1])
    changed = first[(first != untouched).flatten(1).any(dim=1)]
    kinds = len({stamp.numpy().tobytes() for stamp in changed})
    discrete = isinstance(module, JitterCrop)  # a crop has 121 places
    assert kinds > (0.4 if discrete else 0.9) * len(changed)
    assert len(changed) > (2 if isinstance(module, MissingPixels) else 80)


@pytest.mark.parametrize("module", EACH, ids=lambda module: type(module).__name__)
def test_missing_pixels_stay_missing_and_do_not_spread(module):
    flux = noise(8, size=107)
    flux[:, 1] = torch.nan
    flux[:, 3, 50:53, 50:53] = torch.nan
    module.train()
    missing = module(flux).isnan()
    assert missing[:, 1].all()
    if not isinstance(module, MissingPixels):
        assert not missing[:, [0, 2, 4]].any()
        assert (missing[:, 3].sum(dim=(1, 2)) >= 4).all()
        assert (missing[:, 3].sum(dim=(1, 2)) <= 100).all()


# Turns and mirrors


@pytest.mark.parametrize(("stamp", "size"), [(68, 64), (64, 64), (107, 74)])
def test_quarter_turns_copy_pixels_in_all_eight_ways(stamp, size):
    flux = noise(1, size=stamp).expand(100, -1, -1, -1)
    turns = RotateFlip(size, angles="quarter" if stamp == 107 else "any")(flux)
    # turned about the middle of the stamp, not of what is left of it
    ways = [
        central(torch.rot90(mirrored, quarters, dims=(-2, -1)), size)
        for mirrored in (flux[0], flux[0].flip(-1))
        for quarters in range(4)
    ]
    seen = [next(way for way, copy in enumerate(ways) if torch.equal(stamp, copy)) for stamp in turns]
    assert set(seen) == set(range(8))


@pytest.mark.parametrize("corners", ["inside", "zero"])
def test_a_free_rotation_turns_about_the_middle(corners):
    flux = galaxies(50, scale=4)
    flux[:, :, 53, 73] += 1  # 20 pixels off
    turns = RotateFlip(74, corners=corners)(flux)
    expected = central(galaxies(50, scale=4), 74)
    off = (turns - expected)[:, 2]
    axis = torch.arange(74.0) - 37  # of 107 pixels, the 53rd is the middle
    light = off.sum(dim=(1, 2))
    x, y = (off.sum(dim=1) @ axis) / light, (off.sum(dim=2) @ axis) / light
    torch.testing.assert_close(torch.hypot(x, y), torch.full((50,), 20.0), rtol=0, atol=1.0)
    angles = torch.atan2(y, x)
    assert angles.min() < -2
    assert angles.max() > 2
    torch.testing.assert_close(turns.sum(dim=(2, 3)), central(flux, 74).sum(dim=(2, 3)), rtol=0.02, atol=0)


@pytest.mark.parametrize("mirror", [True, False])
@pytest.mark.parametrize("angles", ["any", "quarter"])
def test_half_of_the_stamps_are_mirrored_or_none(angles, mirror):
    """A spiral of three sources, whose sense no rotation changes."""
    flux = torch.zeros(400, 1, 107, 107)
    for place, brightness in (((53, 69), 3), ((69, 53), 2), ((53, 37), 1)):
        flux[:, :, place[0] - 2 : place[0] + 3, place[1] - 2 : place[1] + 3] = brightness
    turns = RotateFlip(74, angles=angles, mirror=mirror)(flux)[:, 0]
    rows, columns = torch.meshgrid(torch.arange(74) - 37, torch.arange(74) - 37, indexing="ij")
    first, second = ((turns - level).abs() < 0.3 for level in (3, 2))
    x1, y1, x2, y2 = ((where * along).sum(dim=(1, 2)) for where in (first, second) for along in (columns, rows))
    assert float((x1 * y2 - x2 * y1 < 0).float().mean()) == pytest.approx(0.5 * mirror, abs=0.1)


def test_no_corner_leaks_into_the_largest_jitter():
    """Of 107 pixels, 64 with 5 on each side come from within the stamp, however it is turned; with 7 they do not."""
    flux = torch.ones(200, 1, 107, 107)
    largest = RotateFlip(64 + 2 * 5, corners="zero", interpolation="bilinear")(flux)
    torch.testing.assert_close(largest, torch.ones_like(largest))
    assert (
        RotateFlip(64 + 2 * 7, corners="zero", interpolation="bilinear")(flux) < 0.5
    ).any()  # as the published code has it


@pytest.mark.parametrize("angles", ["any", "quarter"])
def test_turning_with_jitter_is_turning_and_then_cropping(angles):
    flux = noise(20, size=107)
    torch.manual_seed(0)
    at_once = RotateFlip(64, jitter=5, angles=angles)(flux)
    torch.manual_seed(0)
    torch.testing.assert_close(at_once, JitterCrop(64, 5)(RotateFlip(74, angles=angles)(flux)), rtol=0, atol=1e-4)


def test_stamps_that_are_too_small_are_not_turned_freely():
    flux = noise(20, size=109)
    augment = make_augmentation({"rotate": {}, "crop": {"size": 64, "jitter": 7}})
    copied = torch.isin(augment(flux), flux)
    assert copied.all()
    assert not torch.isin(augment(noise(20, size=112)), flux).all()


@pytest.mark.parametrize(("interpolation", "kept"), [("bicubic", 0.86), ("bilinear", 0.67)])
def test_rotation_smooths_noise_as_little_as_the_module_tells(interpolation, kept):
    turns = RotateFlip(74, interpolation=interpolation)(noise(20, size=107, rms=torch.ones(5)))
    assert float(turns.std()) == pytest.approx(kept, abs=0.01)


# Place and size


def test_jitter_moves_by_whole_pixels():
    flux = torch.arange(68 * 68, dtype=torch.float32).reshape(1, 1, 68, 68).expand(100, 5, 68, 68)
    crops = JitterCrop(64, 2)(flux)
    corners = crops[:, :, 0, 0]
    rows, columns = torch.div(corners[:, 0], 68, rounding_mode="floor"), corners[:, 0] % 68
    assert set(rows.tolist()) == set(columns.tolist()) == {0.0, 1.0, 2.0, 3.0, 4.0}
    assert (corners == corners[:, :1]).all()  # all bands alike
    torch.testing.assert_close(crops[:, 0], corners[:, 0, None, None] + flux[0, 0, :64, :64])


@pytest.mark.parametrize("stamp", [64, 65, 66, 67, 68, 71])
def test_jitter_is_cut_down_to_the_room_there_is(stamp):
    """A crop moves alike to either side, as far as the stamp has pixels there, and no farther than asked for."""
    flux = torch.arange(stamp * stamp, dtype=torch.float32).reshape(1, 1, stamp, stamp).expand(200, 5, stamp, stamp)
    margin, reach = (stamp - 64) // 2, min(2, (stamp - 64) // 2)
    for module in (JitterCrop(64, 2), RotateFlip(64, jitter=2, mirror=False)):
        crops = module(flux)[:, 0]
        assert crops.shape == (200, 64, 64)
        least = crops.amin(dim=(1, 2)).long()  # the corner that was first, however it is turned
        rows, columns = least // stamp, least % stamp
        places = set(range(margin - reach, margin + reach + 1))
        if isinstance(module, JitterCrop):
            assert set(rows.tolist()) == set(columns.tolist()) == places
        else:  # the middle of the stamp may lie half a pixel off
            assert max(rows.max(), columns.max()) - min(rows.min(), columns.min()) <= 2 * reach + (stamp % 2)
            assert len(set(rows.tolist())) >= 2 * reach + 1


def test_stamps_smaller_than_the_crop_are_refused():
    with pytest.raises(ValueError, match=r"stamps must have at least 64 pixels a side, got 32"):
        JitterCrop(64, 2)(torch.zeros(1, 5, 32, 32))


def test_the_published_crop_is_in_the_place_of_the_published_code():
    flux = noise(1, size=107)
    torch.testing.assert_close(JitterCrop(64).eval()(flux), flux[..., 21:85, 21:85])


def half_light_radius(flux):
    """Of a round galaxy, from its second moment, in units of that moment's root."""
    square = radius(flux.shape[-1]).square()
    return ((flux * square).sum(dim=(2, 3)) / flux.sum(dim=(2, 3))).sqrt()


def test_scaling_changes_sizes_and_keeps_fluxes():
    flux = torch.exp(-0.5 * (radius(107) / 5).square()).expand(100, 5, 107, 107)
    scaled = SizeScaling(1.2)(flux)
    torch.testing.assert_close(scaled.sum(dim=(2, 3)), flux.sum(dim=(2, 3)), rtol=0.02, atol=0)
    ratio = (half_light_radius(scaled) / half_light_radius(flux))[:, 0]
    assert float(ratio.min()) == pytest.approx(1 / 1.2, abs=0.03)
    assert float(ratio.max()) == pytest.approx(1.2, abs=0.03)
    assert float(ratio.log().mean()) == pytest.approx(0, abs=0.03)


# Light


def test_reddening_dims_blue_more_and_more_with_ebv():
    flux = torch.ones(500, 5, 8, 8)
    dimming = -2.5 * torch.log10(Reddening(0.5)(flux)[:, :, 0, 0])
    ebv = dimming / torch.from_numpy(R_UGRIZ)
    torch.testing.assert_close(ebv, ebv[:, :1].expand(-1, 5), rtol=1e-4, atol=1e-5)
    assert (dimming.diff(dim=1) <= 0).all()
    assert ebv.min() >= 0
    assert 0.48 < ebv.max() <= 0.5
    assert float(ebv.mean()) == pytest.approx(0.25, abs=0.03)


def test_dereddening_undoes_reddening():
    flux, ebv = noise(4), torch.tensor([0.0, 0.1, 0.3, 0.5])
    torch.testing.assert_close(deredden(deredden(flux, -ebv), ebv), flux)
    from astro_photz.dust import deredden as reference

    np.testing.assert_allclose(deredden(flux, ebv), reference(flux.numpy(), ebv=ebv.numpy()), rtol=1e-5)


def test_blur_keeps_the_flux_and_widens_alike_in_all_bands():
    flux = torch.exp(-0.5 * (radius(64) / 2).square()).expand(100, 5, 64, 64)
    blurred = Blur(1.5)(flux)
    torch.testing.assert_close(blurred.sum(dim=(2, 3)), flux.sum(dim=(2, 3)), rtol=1e-4, atol=0)
    added = (half_light_radius(blurred).square() - half_light_radius(flux).square())[:, 0] / 2
    assert (blurred == blurred[:, :1]).all()
    assert float(added.clamp(min=0).sqrt().min()) < 0.2
    assert float(added.sqrt().max()) == pytest.approx(1.5, abs=0.1)


def test_blur_of_each_band_keeps_the_flux_and_widens_each_by_its_own():
    flux = torch.exp(-0.5 * (radius(64) / 2).square()).expand(300, 5, 64, 64)
    blurred = Blur(1.5, bands="each")(flux)
    torch.testing.assert_close(blurred.sum(dim=(2, 3)), flux.sum(dim=(2, 3)), rtol=1e-4, atol=0)
    added = half_light_radius(blurred).square() - half_light_radius(flux).square()
    assert abs(np.corrcoef(added[:, 0], added[:, 1])[0, 1]) < 0.2
    torch.testing.assert_close((added / 2).clamp(min=0).sqrt().amax(dim=0), torch.full((5,), 1.5), rtol=0, atol=0.1)


@pytest.mark.parametrize("peak", [0.0, 3.0, 30.0], ids=["blank", "usual", "bright"])
def test_noise_is_measured_whatever_the_galaxy(peak):
    flux = noise(100) + galaxies(100, size=64, scale=4, peak=peak)
    measured = noise_rms(flux) / SKY_RMS
    torch.testing.assert_close(measured.mean(dim=0), torch.ones(5), rtol=0, atol=0.05)
    assert measured.std() < 0.1


def test_noise_adds_in_quadrature():
    flux = noise(200) + galaxies(200, size=64, scale=4, peak=10)
    added = Noise(2, 2)(flux) - flux
    torch.testing.assert_close(added.std(dim=(0, 2, 3)) / SKY_RMS, torch.full((5,), 2.0), rtol=0, atol=0.05)
    total = noise_rms(flux + added).mean(dim=0) / SKY_RMS
    torch.testing.assert_close(total, torch.full((5,), 5**0.5), rtol=0.03, atol=0)


def test_noise_of_a_chain_is_in_units_of_what_the_stamp_had():
    # turned, blurred and reddened, the sky is smoother and dimmer: its noise as observed is still the unit
    torch.manual_seed(0)
    flux = noise(400)
    changes = {"rotate": {"angles": "any", "corners": "zero"}, "redden": {"ebv_max": 0.5}, "blur": {"sigma": 1.0}}
    chains = [make_augmentation(changes | more) for more in ({}, {"noise": {"low": 1, "high": 1}})]
    smooth, noisy = (chain(flux)[..., 16:-16, 16:-16].var(dim=(0, 2, 3)) for chain in chains)
    assert (smooth.sqrt() < 0.6 * SKY_RMS).all()
    torch.testing.assert_close((noisy - smooth).sqrt() / SKY_RMS, torch.ones(5), rtol=0, atol=0.03)


def test_noise_is_drawn_for_each_stamp_and_band():
    flux = noise(300)
    level = (Noise(0, 1)(flux) - flux).std(dim=(2, 3)) / SKY_RMS
    assert float(level.mean()) == pytest.approx(0.5, abs=0.05)
    assert float(level.std()) == pytest.approx(12**-0.5, abs=0.05)
    assert abs(np.corrcoef(level[:, 0], level[:, 1])[0, 1]) < 0.2


def test_pixels_go_missing_in_a_share_of_stamps():
    lost = torch.isnan(MissingPixels(band=0.1, edge=0)(torch.zeros(1000, 5, 64, 64)))
    bands = lost.all(dim=(2, 3))
    assert torch.equal(bands, lost.any(dim=(2, 3)))  # as a whole
    assert set(bands.sum(dim=1).tolist()) == {0, 1}  # one band, not the four others
    assert bands.any(dim=1).float().mean() == pytest.approx(0.1, abs=0.03)
    assert (bands.sum(dim=0) > 5).all()  # any of them
    lost = torch.isnan(MissingPixels(band=0, edge=0.3)(torch.zeros(3000, 5, 64, 64)))
    assert (lost == lost[:, :1]).all()
    lost = lost[:, 0]
    assert lost.any(dim=(1, 2)).float().mean() == pytest.approx(0.3, abs=0.03)
    sides = lost[:, 0].all(dim=1), lost[:, -1].all(dim=1), lost[:, :, 0].all(dim=1), lost[:, :, -1].all(dim=1)
    for side in sides:  # two thirds of the losses are one of four sides, the others one of four corners
        assert side.float().mean() == pytest.approx(0.05, abs=0.02)
    whole_side = torch.stack(sides).any(dim=0)
    for corner in (lost[:, 0, 0], lost[:, 0, -1], lost[:, -1, 0], lost[:, -1, -1]):
        assert (corner & ~whole_side).float().mean() == pytest.approx(0.025, abs=0.015)
    assert lost.float().mean(dim=(1, 2)).max() <= 0.5
    assert not lost[~whole_side].float().mean(dim=(1, 2)).gt(0.25).any()


# Chains


def test_a_recipe_makes_a_chain_in_the_order_of_nature():
    steps = ["missing", "noise", "normalise", "blur", "redden", "crop", "rotate", "scale"]
    chain = make_augmentation({step: {} for step in steps} | {"crop": {"jitter": 5}})
    kinds = (SizeScaling, RotateFlip, JitterCrop, Reddening, Blur, Normalisation, Noise, MissingPixels)
    assert [type(module) for module in chain] == list(kinds)
    assert (chain[1].size, chain[1].jitter) == (64, 5)
    assert chain(galaxies()).shape == (4, 5, 64, 64)


def test_without_a_recipe_the_middle_is_left():
    flux = noise(3, size=107)
    torch.testing.assert_close(make_augmentation({})(flux), flux[..., 21:85, 21:85])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"nose": {}}, r"unknown augmentation 'nose': did you mean 'noise'\? Known are scale, rotate, crop"),
        ({"noise": {"hihg": 1}}, r"unknown option of the augmentation 'noise' 'hihg': did you mean 'high'\?"),
        ({"noise": 3}, r"augmentation 'noise' must be a table of options, got 3"),
        ({"noise": {"low": 2, "high": 1}}, r"high must be a number of 2 or more, got 1"),
        ({"noise": {"low": -1}}, r"low must be a number of 0 or more, got -1"),
        ({"scale": {"factor": 0.9}}, r"factor must be a number of 1 or more, got 0.9"),
        ({"rotate": {"angles": "all"}}, r"angles must be one of any, quarter, got 'all'"),
        ({"rotate": {"corners": "grey"}}, r"corners must be one of inside, zero, got 'grey'"),
        ({"rotate": {"jitter": 5}}, r"unknown option of the augmentation 'rotate' 'jitter'"),
        ({"rotate": {"size": 64}}, r"unknown option of the augmentation 'rotate' 'size'"),
        ({"redden": {"ebv_max": -0.1}}, r"ebv_max must be a number of 0 or more, got -0.1"),
        ({"redden": {"ebv_max": "much"}}, r"ebv_max must be a number of 0 or more, got 'much'"),
        ({"blur": {"sigma": float("nan")}}, r"sigma must be a number of 0 or more, got nan"),
        ({"blur": {"bands": "some"}}, r"bands must be one of alike, each, got 'some'"),
        ({"normalise": {"magnitude": "r"}}, r"magnitude must be a number of 0 or more, got 'r'"),
        ({"normalise": {"spread": -1}}, r"spread must be a number of 0 or more, got -1"),
        ({"noise": {"fill": "no"}}, r"fill must be true or false, got 'no'"),
        ({"crop": {"jitter": 1.5}}, r"jitter must be a whole number of 0 or more, got 1.5"),
        ({"crop": {"size": 0}}, r"size must be a whole number of 1 or more, got 0"),
        ({"missing": {"band": 1.5}}, r"band must be a number from 0 to 1, got 1.5"),
    ],
)
def test_what_cannot_be_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        make_augmentation(settings)
