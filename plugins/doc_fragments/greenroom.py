# Copyright: Greenroom developers
# GNU General Public License v3.0 or later (see LICENSE)
"""Documentation that several modules share. A module extends `greenroom.<attribute>`, in lower case."""

from __future__ import annotations


class ModuleDocFragment:
    """Each attribute is one fragment."""

    NO_DIFF = r"""
attributes:
  diff_mode:
    description: Changes nothing itself, so there is no difference.
    support: none
"""

    HAPROXY = r"""
options:
  socket:
    description: HAProxy's runtime socket. It is used if there is no master socket.
    type: path
    default: /run/haproxy/admin.sock
  master_socket:
    description: HAProxy's master socket, which reaches all workers.
    type: path
    default: /run/haproxy-master.sock
"""

    REQUEST = r"""
options:
  timeout:
    description: Timeout of a request in seconds.
    type: float
"""

    KRATOS = r"""
options:
  server:
    description:
      - What the server is. V(keycloak) is Keycloak 24 or newer, V(scim) any server with SCIM 2.0. What they can't do is
        told before anything is changed.
    type: str
    choices: [kratos, keycloak, scim]
    default: kratos
  url:
    description:
      - URL as seen from the host on which the module runs. For Ory Kratos, that of its admin API; for Keycloak, that of
        the server; for SCIM, the one below which C(Users) is.
    type: str
    required: true
  realm:
    description: The realm of Keycloak. Required with O(server=keycloak).
    type: str
  client_id:
    description: A client of O(realm) with a service account. Required with O(server=keycloak).
    type: str
  client_secret:
    description: The secret of O(client_id). Required with O(server=keycloak).
    type: str
  headers:
    description:
      - Headers for the admin API, for example C(Authorization) with the token of a proxy or of Ory Network. No other
        server gets them, also after a redirect. With headers, O(url) must begin with C(https), unless the server is
        on the same host.
    type: dict
    default: {}
  ca_file:
    description: File on the host with the CA of the server's certificate. The default are the system's CAs.
    type: path
  client_cert:
    description: File on the host with a client certificate, for a server that asks for one.
    type: path
  client_key:
    description: File on the host with the key of O(client_cert), if it is not in the same file.
    type: path
  _secrets:
    description: A file with secrets, between the controller and the module, which removes it. Not for playbooks.
    type: path
"""

    SERVER = r"""
attributes:
  check_mode:
    description: Reads the server's state and reports what would change.
    support: full
"""
