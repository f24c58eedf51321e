# Licensed under a 3-clause BSD style license - see LICENSE
"""
Tests of these pages are the examples in the text. The scripts run when the pages are built.
"""

collect_ignore = ["_extensions", "gallery", "start_page.py", "tutorials"]
