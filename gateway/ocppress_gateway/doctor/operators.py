"""The steps about where operators look on, which both sides have."""

from __future__ import annotations

import asyncio
import importlib
import time

from ocppress_gateway.config_admin import AdminConfig
from ocppress_gateway.doctor import judging
from ocppress_gateway.doctor.certificates import certificate_facts
from ocppress_gateway.doctor.facts import Running
from ocppress_gateway.doctor.findings import Finding, Verdict, failed, passed, skipped
from ocppress_gateway.doctor.probes import port_facts
from ocppress_gateway.errors import ConfigError

__all__ = ["operators_place", "operators_provider"]

_STEP = "operators' listener"
_PROVIDER_STEP = "operators' OpenID provider"


async def operators_place(admin: AdminConfig | None, running: Running) -> Finding:
    """Its port or socket, its certificate, and the packages that it needs."""
    if admin is None:
        return skipped(_STEP, "there is no table `[admin]`")
    try:
        importlib.import_module("ocppress_gateway.admin.server")
    except ImportError as error:
        return failed(_STEP, f"{error.name} isn't installed", "install ocppress with the extra `admin`: `pip install 'ocppress[admin]'`")
    if admin.tls is not None:
        facts = certificate_facts(admin.tls.certificate_file, admin.tls.key_file, ca_file=None, is_server=True)
        found = judging.certificate(_STEP, facts, unix_s=time.time(), renews="have whoever issued it issue the next")
        if found.verdict is not Verdict.PASS:
            return found
    if admin.place.path is not None:
        return passed(_STEP, f"{admin.place.path}, for who may open it")
    place = admin.place
    taken = await asyncio.to_thread(port_facts, place.host, place.port, running_pid=running.pid, is_running=running.is_running)
    return judging.port(_STEP, taken, setting="[admin] listen")


async def operators_provider(admin: AdminConfig | None) -> Finding:
    """Its metadata, as a login would ask for them."""
    if admin is None or admin.oidc is None:
        return skipped(_PROVIDER_STEP, "there is no table `[admin.oidc]`")
    try:
        from ocppress_gateway.admin.openid import OpenIdProvider, ProviderError
    except ImportError as error:
        return failed(
            _PROVIDER_STEP, f"{error.name} isn't installed", "install ocppress with the extra `oidc`: `pip install 'ocppress[oidc]'`"
        )
    issuer = admin.oidc.issuer
    try:
        provider = await OpenIdProvider(admin.oidc).provider()
    except ConfigError as error:
        return failed(_PROVIDER_STEP, str(error), "name files in `[admin.oidc]` that this program may read")
    except ProviderError as error:
        remedy = f"`{issuer.rstrip('/')}/.well-known/openid-configuration` has to be reachable from here, with `[admin.oidc] issuer` in it as it is"
        return failed(_PROVIDER_STEP, f"{issuer}: {error}", remedy)
    ends = "ends sessions" if provider.end_session_endpoint is not None else "offers no logout"
    return passed(_PROVIDER_STEP, f"{issuer} answers, and {ends}")
