"""What is masked of a message, and what isn't."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocppress_gateway.masking import MASK, elided, masked, secrets_of
from tests.support.schema_messages import messages_of_all_versions if False else None
