"""What a mosquitto needs to carry links: its configuration, and the list of who may do what.

A certificate's common name is the client's name: `cloud` for the cloud, an edge's name for an edge. The list goes by that name alone, so it
needs no change when an edge is added.
"""

from __future__ import annotations

from ocppress_gateway.core.broker_topics import Topics
from ocppress_gateway.core.identity import CLOUD_NAME

__all__ = ["access_list", "mosquitto_conf"]


def access_list(topics: Topics) -> str:
    """The `acl_file`."""
    return f"""# Who may do what: the cloud everything below, an edge only what has its name.
user {CLOUD_NAME}
topic read {topics.all_up}
topic write {topics.prefix}d/+/+
topic readwrite {topics.cloud}

# %u is the common name of the edge's certificate. The last line is for all edges: mosquitto warns that it names none.
pattern write {topics.prefix}u/+/%u
pattern read {topics.prefix}d/+/%u
pattern read {topics.cloud}
"""


def mosquitto_conf(*, port: int, folder: str, host: str | None = None) -> str:
    """A `mosquitto.conf` whose certificates and `acl` stand in `folder`; without `host` it listens everywhere."""
    listener = f"{port} {host}" if host else str(port)
    return f"""# mosquitto 2.0 or later for links of ocppress; start it with: mosquitto -c mosquitto.conf
per_listener_settings false
allow_anonymous false
acl_file {folder}/acl
persistence false
# Seconds after which edges that are silent ping, and are lost if they don't; without it, TCP finds out, in its own time.
#max_keepalive 1200
# A message doesn't wait at the broker until the one before is acknowledged.
set_tcp_nodelay true

listener {listener}
cafile {folder}/ca.pem
certfile {folder}/broker.pem
keyfile {folder}/broker.key
tls_version tlsv1.3
# SHA-256 instead of SHA-384 makes each reconnection 80 bytes smaller.
ciphers_tls1.3 TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384
require_certificate true
use_identity_as_username true
# Nobody can take over another's connection by its identifier.
use_username_as_clientid true
"""
