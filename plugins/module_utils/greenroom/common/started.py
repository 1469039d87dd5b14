# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""What a program prints before it carries out a module's call, so that the controller never sends that call again."""

STARTED = "greenroom: started"
"""From this line on, the call may have changed the host."""
