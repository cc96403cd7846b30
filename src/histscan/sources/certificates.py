"""Finds the CA certificates that environment variables name.

requests itself reads ``REQUESTS_CA_BUNDLE`` and ``CURL_CA_BUNDLE``, but not the variables of OpenSSL and Go, which
wandb-core reads.
"""

from __future__ import annotations

import os

from histscan.errors import HistoryRequestError

__all__ = ["certificates_of_environment"]

_OF_REQUESTS = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_OF_OPENSSL = ("SSL_CERT_FILE", "SSL_CERT_DIR")


def certificates_of_environment() -> str | bool:
    """Returns the ``verify`` option of a requests session.

    Returns:
        The file or folder with certificates; True for those that requests uses by default.

    Raises:
        HistoryRequestError: A variable that requests reads names a file that does not exist.
    """
    for name in _OF_REQUESTS:
        path = os.environ.get(name)
        if path and not os.path.exists(path):
            raise HistoryRequestError(
                f"the environment variable {name} is set to {path!r}, which does not exist: set it to a file with the "
                "certificates of your certificate authority, or unset it"
            )
        if path:
            return path
    # As in OpenSSL, a missing file is no error: conda names one in every environment.
    paths = (os.environ.get(name) for name in _OF_OPENSSL)
    return next((path for path in paths if path and os.path.exists(path)), True)
