# Licensed under a 3-clause BSD style license - see LICENSE
"""
Settings for all calls, in astropy's way: ``conf.threads = 8``, ``conf.set_temp``, or a configuration file.
"""

from astropy.config import ConfigItem, ConfigNamespace

__all__ = ["Conf", "conf"]


class Conf(ConfigNamespace):
    """
    Configuration of astro_photz.
    """

    rootname = "astro_photz"

    default_model = ConfigItem("sim-small-v1", "Model that is used where none is named.", cfgtype="string")
    threads = ConfigItem(2, "Threads that fetch and cut the frames of fields, a field each.", cfgtype="integer(min=1)")
    inference_threads = ConfigItem(
        0,
        "Threads of a model; 0 for as many as the process may use processors (those of its affinity).",
        cfgtype="integer(min=0)",
    )
    providers = ConfigItem(
        ["CPUExecutionProvider"],
        "Execution providers of onnxruntime that run a model, the preferred one first, such as CUDAExecutionProvider.",
        cfgtype="string_list",
    )
    queries_per_minute = ConfigItem(
        60,
        "Queries that a user's processes send to the SDSS catalogue server in a minute, at most, all together.",
        cfgtype="integer(min=1)",
    )
    confirm_download_gb = ConfigItem(
        20.0,
        "Size (GB) of a download from an archive above which the command asks first, and a call in Python warns.",
        cfgtype="float(min=0)",
    )
    attempts = ConfigItem(
        8, "How often a request to an archive is made before it counts as failed.", cfgtype="integer(min=1)"
    )
    retry_wait = ConfigItem(
        2.0,
        "Wait (s) before the second attempt; each further one waits twice as long, 30 s at most, and by chance up to "
        "half as long again.",
        cfgtype="float(min=0)",
    )
    patience = ConfigItem(
        120.0,
        "Time (s) within which further attempts at a request begin, beyond the second, and the longest wait that a "
        "server may ask for (Retry-After).",
        cfgtype="float(min=0)",
    )
    failures_in_a_row = ConfigItem(
        3,
        "Requests that fail one after the other before a server is not asked any more in the same call.",
        cfgtype="integer(min=1)",
    )
    minimum_rate = ConfigItem(
        10.0,
        "Rate (kB/s) below which an answer is given up, once the time limit of its source is over.",
        cfgtype="float(min=0.001)",
    )
    frame_cache = ConfigItem(
        512, "Decompressed frames that are kept in memory (MB): a field takes 61.", cfgtype="integer(min=0)"
    )
    cache_gb = ConfigItem(
        0.0,
        "Size (GB) of the frames that stay on the disk, in the cache of astropy, beyond which the longest unused are "
        "removed; 0 for no limit.",
        cfgtype="float(min=0)",
    )
    published_models = ConfigItem(
        "https://portal.nersc.gov/project/dasrepo/self-supervised-learning-sdss/checkpoints",
        "Where ``astro-photz models import`` finds published weights.",
    )


conf = Conf()
"""Settings for all calls: ``astro_photz.conf.threads = 8``. :doc:`/user/many_rows` has them, and a file for them."""
