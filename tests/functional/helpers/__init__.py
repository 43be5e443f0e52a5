# SPDX-License-Identifier: GPL-2.0-or-later
"""What the functional tests share; nothing here uses the project's code."""
