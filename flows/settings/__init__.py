"""One frozen settings object, read once at start from the environment or ``.env``.

Each field is a row of the settings table in the documents. Packages below the runnable flows never
import this one: they are passed the values they need.
"""

from flows.settings.load import load_settings
from flows.settings.model import Settings, variables

__all__ = ["Settings", "load_settings", "variables"]
