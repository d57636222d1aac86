"""`farshore site certificate`: the owner's own certificate for the API, by way of the site's files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from farshore.cli.access import FILE_NAME, Access
from farshore.cli.account_files import record_on_host
from farshore.errors import BadInput, NotFound, NotPermitted
from farshore.model.site import SiteConfig


def change_certificate(
    folder: Path, *, cert: Path | None, key: Path | None, ca: Path | None, host: str | None, remove: bool
) -> dict[str, Any]:
    """Bring, remove or only show the API's certificate; what clients see then.

    The folder's `cli.json` is put right with it. Raises NotFound, NotPermitted, BadInput.
    """
    from farshore.identity.api_certificate import bring_certificate, certificate_facts, drop_certificate

    config = SiteConfig.load(folder)
    identity = folder / "identity"
    access = Access.load(folder) if (folder / FILE_NAME).exists() else None
    reached = host or (urlsplit(access.url).hostname if access else None) or config.host
    if remove:
        if cert or key or ca or host:
            raise BadInput("--remove goes alone.", "Leave the others out.")
        facts = drop_certificate(identity)
        reached = config.host
    elif cert is not None and key is not None:
        authority = None if ca is None else _read(ca)
        facts = bring_certificate(identity, reached, _read(cert), _read(key), authority)
    elif cert or key or ca or host:
        raise BadInput("A certificate is brought with --cert and --key together.", "Give both, or neither to look.")
    else:
        facts = certificate_facts(identity)
    if access is not None and (remove or cert):
        name = f"[{reached}]" if ":" in reached else reached
        url = f"https://{name}:{config.api_port}"
        replace(access, url=url, ca=str(facts.ca.absolute())).save(folder)
    if remove or cert:
        record_on_host(folder, f"site certificate {facts.subject}")
    return {
        "Subject": facts.subject,
        "Issuer": facts.issuer,
        "Names": list(facts.names),
        "NotAfter": facts.not_after,
        "Own": facts.own,
        "Ca": str(facts.ca.absolute()),
    }


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise NotFound(f"There is no file {path}.", "Name the PEM file.") from error
    except OSError as error:
        raise NotPermitted(f"{path} cannot be read: {error.strerror}.", "Name a PEM file that you may read.") from error
