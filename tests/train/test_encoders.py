# Licensed under a 3-clause BSD style license - see LICENSE
"""Encoders: the pixels they see, the published network's names and shapes, and photometry beside it."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning", exc_type=ImportError)
pytest.importorskip("onnxscript", exc_type=ImportError)

from astro_photz.testing.factories import gaussian_cutouts
from astro_photz.train.networks.dereddening import deredden
from astro_photz.train.networks.encoder import KINDS, make_encoder
from astro_photz.train.networks.photometry import AperturePhotometry, aperture_photometry, colours
from astro_photz.train.networks.resnet import ResNet
from astro_photz.train.networks.scaling import SOFTENING, PixelScaling
from astro_photz.train.tensors import asinh, central

ENCODERS = {
    "resnet18": {"width": 8, "stem": "light"},
    "resnet34": {"width": 4, "stem": "pooled"},
    "resnet50": {"width": 4, "scaling": "none", "stem": "pooled"},
}
MEASURING = {"kind": "resnet18", "width": 4, "stem": "pooled", "photometry": True}
SETTINGS = [{"kind": kind, **options} for kind, options in ENCODERS.items()] + [MEASURING]


def make_flux(n=6, *, size=64):
    return torch.from_numpy(gaussian_cutouts(n, size=size).flux)


def seen(encoder):
    """An encoder whose normalisations have seen some data, so that none is the identity."""
    with torch.no_grad():
        for _ in range(3):
            encoder.train()(make_flux(16), torch.full((16,), 0.03))
    return encoder.eval()


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


# What holds for all


def test_every_kind_is_tested():
    assert set(ENCODERS) == set(KINDS)


@pytest.fixture(params=SETTINGS, scope="module", ids=lambda settings: "-".join(map(str, settings.values())))
def encoder(request):
    torch.manual_seed(0)
    return seen(make_encoder(**request.param))


@torch.no_grad()
def test_an_encoder_gives_an_embedding_for_each_galaxy(encoder):
    flux = make_flux()
    embedding = encoder(flux, torch.full((6,), 0.03))
    assert embedding.shape == (6, encoder.embedding_dim)
    assert encoder.image_size == 64
    assert embedding.std(dim=0).max() > 1e-2
    torch.testing.assert_close(encoder(flux[2:3], torch.full((1,), 0.03))[0], embedding[2], rtol=1e-3, atol=1e-4)


@torch.no_grad()
def test_dust_that_is_known_of_changes_no_embedding(encoder):
    flux, ebv = make_flux(), torch.full((6,), 0.03)
    clear = encoder(flux, ebv)
    torch.testing.assert_close(encoder(deredden(flux, torch.full((6,), -0.2)), ebv + 0.2), clear, rtol=1e-3, atol=1e-4)
    assert (encoder(flux, ebv + 0.2) - clear).abs().max() > 1e-3


@torch.no_grad()
def test_missing_pixels_give_finite_embeddings(encoder):
    flux = make_flux()
    flux[0, 1] = flux[1, :, :, 32:] = torch.nan
    assert encoder(flux, torch.zeros(6)).isfinite().all()


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (
            "resnet99",
            {},
            r"unknown kind of encoder 'resnet99': did you mean .* Known are resnet18, resnet34",
        ),
        ("resnet18", {"widt": 8}, r"unknown option 'widt' of the encoder 'resnet18': did you mean 'width'\?"),
        ("resnet18", {"depth": 50}, r"unknown option 'depth' of the encoder 'resnet18'"),
        ("resnet18", {"bottleneck": -1}, r"bottleneck must be a whole number of 0 or more, got -1"),
        ("resnet18", {"stem": "small"}, r"stem must be one of published, light, pooled, got 'small'"),
        ("resnet18", {"scaling": "log"}, r"scaling must be one of asinh, linear, none, got 'log'"),
        ("resnet18", {"width": 0}, r"width must be a whole number of 1 or more, got 0"),
    ],
)
def test_what_is_no_encoder_is_refused(kind, options, message):
    with pytest.raises(ValueError, match=message):
        make_encoder(kind, **options)


def test_only_the_resnets_of_the_paper_are_made():
    with pytest.raises(ValueError, match=r"depth must be one of 18, 34, 50, got 101"):
        ResNet(101)


# ResNets


def published_shapes(width=64, n_bins=180):
    """Names and shapes of the published network's weights, written down by the rule of the paper."""
    shapes = {"conv1.weight": (width, 5, 7, 7)} | norm("bn1", width)
    channels = width
    for stage, number in enumerate((3, 4, 6, 3)):
        narrow = width * 2**stage
        for block in range(number):
            name, wide = f"layer{stage + 1}.{block}", 4 * narrow
            shapes[f"{name}.conv1.weight"] = (narrow, channels, 1, 1)
            shapes[f"{name}.conv2.weight"] = (narrow, narrow, 3, 3)
            shapes[f"{name}.conv3.weight"] = (wide, narrow, 1, 1)
            shapes |= norm(f"{name}.bn1", narrow) | norm(f"{name}.bn2", narrow) | norm(f"{name}.bn3", wide)
            if block == 0:
                shapes[f"{name}.downsample.0.weight"] = (wide, channels, 1, 1)
                shapes |= norm(f"{name}.downsample.1", wide)
            channels = wide
    return shapes | {"fc.weight": (n_bins, channels), "fc.bias": (n_bins,)}


def norm(name, channels):
    vectors = {f"{name}.{what}": (channels,) for what in ("weight", "bias", "running_mean", "running_var")}
    return vectors | {f"{name}.num_batches_tracked": ()}


def test_the_reference_network_has_the_published_names_and_shapes():
    network = ResNet(50, scaling="none", n_bins=180)
    assert {name: tuple(value.shape) for name, value in network.state_dict().items()} == published_shapes()
    assert network.conv1.stride == (1, 1)
    assert network.conv1.padding == (3, 3)
    # the stride of a stage is that of its first 3x3 convolution
    strides = {name: layer.stride[0] for name, layer in network.named_modules() if isinstance(layer, torch.nn.Conv2d)}
    halving = [f"layer{stage}.0.{layer}" for stage in (2, 3, 4) for layer in ("conv2", "downsample.0")]
    assert sorted(name for name, stride in strides.items() if stride == 2) == sorted(halving)


@pytest.mark.parametrize(
    ("depth", "published", "features"), [(18, 11_689_512, 512), (34, 21_797_672, 512), (50, 25_557_032, 2048)]
)
def test_resnets_have_as_many_parameters_as_in_the_literature(depth, published, features):
    """Those of torchvision, for three colours and a thousand classes."""
    encoder = ResNet(depth)
    of_two_bands, of_classes = 2 * 64 * 7 * 7, 1000 * (features + 1)
    assert sum(weight.numel() for weight in encoder.parameters()) == published + of_two_bands - of_classes
    assert encoder.embedding_dim == features


@torch.no_grad()
def test_a_published_network_splits_into_encoder_and_head():
    network = seen(ResNet(50, width=4, scaling="none", n_bins=180))
    flux, ebv = make_flux(), torch.full((6,), 0.1)
    scores = network(flux, ebv)
    head, network.fc = network.fc, torch.nn.Identity()
    torch.testing.assert_close(head(network(flux, ebv)), scores)


@torch.no_grad()
@pytest.mark.parametrize(("stem", "side"), [("published", 64), ("light", 32), ("pooled", 16)])
def test_stems_differ_in_what_they_leave_of_the_image(stem, side):
    encoder = ResNet(18, width=4, stem=stem)
    sides = []
    encoder.layer1.register_forward_pre_hook(lambda _, inputs: sides.append(inputs[0].shape[-1]))
    encoder(make_flux(2), torch.zeros(2))
    assert sides == [side]


# Pixels


def test_scales():
    flux, ebv = make_flux(), torch.full((6,), 0.1)
    softening = torch.tensor(SOFTENING)[:, None, None]
    clear = deredden(flux, ebv)
    torch.testing.assert_close(PixelScaling("none")(flux, ebv), clear)
    torch.testing.assert_close(PixelScaling("linear")(flux, ebv), clear / softening)
    torch.testing.assert_close(PixelScaling("asinh")(flux, ebv), torch.asinh(clear / softening), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("scaling", ["none", "linear", "asinh"])
def test_pixels_that_are_missing_or_absurd_are_finite(scaling):
    flux = make_flux()
    flux[0] = torch.nan
    flux[1] = 1e38
    flux[2] = -torch.inf
    scaled = PixelScaling(scaling)(flux, torch.zeros(6))
    assert scaled.isfinite().all()
    assert (scaled[0] == 0).all()


def test_asinh_is_asinh():
    x = torch.cat([torch.linspace(-30, 30, 1001), torch.tensor([1e8, -1e8, 1e-6])])
    torch.testing.assert_close(asinh(x), torch.asinh(x.double()).float(), rtol=1e-6, atol=1e-9)


def test_the_middle_of_a_stamp_cannot_be_larger_than_the_stamp():
    with pytest.raises(ValueError, match=r"stamps must have at least 64 pixels a side, got 32"):
        central(torch.zeros(1, 5, 32, 32), 64)


# Photometry


def test_apertures_have_noise_of_one():
    noise = torch.randn(2000, 5, 64, 64)
    photometry = AperturePhotometry(64)
    # that of the sky around, which is taken off, adds to it in the largest
    assert torch.sinh(photometry(noise)).std(dim=0).view(5, 3)[:, :2] == pytest.approx(np.ones((5, 2)), abs=0.1)


def test_what_sky_subtraction_left_is_no_light_of_the_galaxy():
    photometry = AperturePhotometry(64)
    scaled = 0.7 * torch.randn(8, 5, 64, 64)
    scaled[:, :, 28:36, 28:36] += 5
    scaled[:, :, :6, 50:] += 100  # a neighbour
    measured = torch.sinh(photometry(scaled))
    torch.testing.assert_close(torch.sinh(photometry(scaled + 0.3)), measured, rtol=0.01, atol=1.0)
    assert 0.3 * photometry.weights[2].sum() > 10  # which it would have been taken for


def test_measured_photometry_is_in_magnitudes_on_a_scale_of_order_one():
    flux = torch.from_numpy(gaussian_cutouts(200, r_mag=(15, 16), noise=False).flux)
    measured = aperture_photometry(flux).view(-1, 3, 5)
    assert measured[..., 1:].std(dim=0).min() > 0.05
    assert measured.std(dim=0).max() < 3
    fainter = aperture_photometry(flux * 10**-0.4).view(-1, 3, 5) - measured  # by a magnitude, in all bands
    scatter = torch.tensor([0.61, 0.63, 0.67])
    torch.testing.assert_close(fainter[..., 0] * scatter * 1.0857, torch.ones(200, 3), rtol=0, atol=0.03)
    assert fainter[..., 1:].abs().median() < 0.05


def test_photometry_does_not_see_dust_that_is_known_of_and_sees_dust_that_is_not():
    flux, ebv = make_flux(), torch.full((6,), 0.1)
    measured = aperture_photometry(flux)
    torch.testing.assert_close(aperture_photometry(deredden(deredden(flux, -ebv), ebv)), measured, rtol=1e-3, atol=1e-3)
    redder = (aperture_photometry(deredden(flux, -ebv)) - measured).view(-1, 3, 5)
    assert (redder > 0).all()  # fainter, and redder in each colour


def test_larger_stamps_are_measured_in_their_middle():
    flux = make_flux(size=108)
    torch.testing.assert_close(aperture_photometry(flux), aperture_photometry(central(flux, 64)))


def test_a_band_that_lacks_pixels_is_not_measured():
    flux = make_flux()
    flux[0, 1] = torch.nan
    flux[1, 1, :, 46:] = torch.nan  # beyond what the smaller apertures reach
    flux[2, 1, 0, 0] = torch.nan
    unknown = aperture_photometry(flux).isnan().view(-1, 3, 5)
    lacking = [False, True, True, False, False]  # r, u-g, g-r, r-i, i-z
    assert unknown[0].tolist() == [lacking] * 3
    assert unknown[1].tolist() == [[False] * 5] * 2 + [lacking]
    assert not unknown[2:].any()


@torch.no_grad()
def test_a_lost_band_is_no_strange_colour():
    """What depends on it is taken to be as usual; the rest stays."""
    encoder = make_encoder(**MEASURING).eval()
    joined = []
    encoder.join.register_forward_hook(lambda module, inputs, output: joined.append(inputs[0][:, -15:].view(-1, 3, 5)))
    flux = make_flux()
    for lost in (flux, torch.where(torch.arange(5)[:, None, None] == 4, torch.nan, flux)):
        encoder(lost, torch.zeros(6))
    whole, lacking = joined
    assert (lacking[..., 4] == 0).all()  # i-z
    torch.testing.assert_close(lacking[..., :4], whole[..., :4])


# Photometry beside, and a bottleneck behind


@torch.no_grad()
def test_colours_are_differences_of_magnitudes():
    flux = torch.from_numpy(gaussian_cutouts(20, r_mag=(15, 16), noise=False).flux)
    photometer = AperturePhotometry(64)

    def measured(brighter):
        scaled = PixelScaling("linear")(flux * torch.tensor(brighter)[:, None, None], torch.zeros(20))
        return colours(photometer(scaled)).unflatten(1, (-1, 5)) * 1.0857

    change = measured([1.0, 1.0, 10**0.2, 1.0, 1.0]) - measured([1.0] * 5)  # half a magnitude in r
    expected = torch.tensor([-0.5, 0.0, 0.5, -0.5, 0.0]).expand_as(change)
    torch.testing.assert_close(change, expected, rtol=0, atol=0.02)


@torch.no_grad()
def test_photometry_beside_a_resnet_does_not_need_its_convolutions():
    torch.manual_seed(0)
    encoder = seen(make_encoder(**MEASURING))
    for parameter in encoder.encoder.parameters():
        parameter.zero_()  # what its convolutions give is the same for all images
    flux = make_flux()
    redder = flux * torch.tensor([0.5, 0.7, 1.0, 1.2, 1.4])[:, None, None]
    assert (encoder(redder, torch.zeros(6)) - encoder(flux, torch.zeros(6))).abs().amax(dim=1).min() > 1e-2


@pytest.mark.parametrize("training", [True, False])
@torch.no_grad()
def test_photometry_keeps_its_digits_in_half_precision(training):
    encoder = make_encoder(**MEASURING).train(training)
    measured = []
    encoder.photometry.register_forward_hook(lambda module, inputs, output: measured.append(output))
    flux, ebv = 10 * torch.rand(4, 5, 64, 64, generator=torch.Generator().manual_seed(0)), torch.zeros(4)
    with torch.autocast("cpu", torch.bfloat16):
        encoder(flux, ebv)
    encoder(flux, ebv)
    half, whole = measured
    torch.testing.assert_close(half, whole)


@torch.no_grad()
def test_what_a_bottleneck_does_not_hold_the_embedding_does_not_know():
    encoder = make_encoder("resnet18", width=4, stem="pooled", bottleneck=2).eval()
    embedding = encoder(torch.randn(64, 5, 64, 64), torch.zeros(64))
    # of an affine map of two numbers, what is not cut off at zero has two dimensions
    always = embedding[:, (embedding > 0).all(dim=0)]
    assert always.shape[1] > 10
    assert torch.linalg.matrix_rank(always - always.mean(dim=0), rtol=1e-3) == 2
