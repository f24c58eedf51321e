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
    queries_per_minute = ConfigItem(
        60, "Queries that are sent to the SDSS catalogue server in a minute, at most.", cfgtype="integer(min=1)"
    )
    attempts = ConfigItem(
        3, "How often a request to an archive is made before it counts as failed.", cfgtype="integer(min=1)"
    )
    retry_wait = ConfigItem(
        1.0, "Wait (s) before the second attempt; each further one waits twice as long.", cfgtype="float(min=0)"
    )
    frame_cache = ConfigItem(
        512, "Decompressed frames that are kept in memory (MB): a field takes 61.", cfgtype="integer(min=0)"
    )
    published_models = ConfigItem(
        "https://portal.nersc.gov/project/dasrepo/self-supervised-learning-sdss/checkpoints",
        "Where ``astro-photz models import`` finds published weights.",
    )


conf = Conf()
"""The configuration, `Conf`."""
