"""What the original offers and Farshore does not, as one table: routes answer 501 by it, docs/api.md shows it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NotOffered:
    """Something that is not offered: its paths (with their methods), what it is, and what to do instead."""

    what: str
    instead: str
    paths: tuple[tuple[str, str], ...]

    def routes(self) -> list[tuple[str, str]]:
        """(method, whole path) of each."""
        return [(method, f"/v1{path}") for path, methods in self.paths for method in methods.split()]


READ, WRITE, BOTH = "GET", "POST PUT DELETE", "GET POST PUT DELETE"

NOT_OFFERED = (
    NotOffered(
        "Long-term retention",
        "Use clones, or the backup program that you have.",
        (("/ltr/{rest:path}", BOTH), ("/vpgSettings/{settings_id}/ltr", BOTH)),
    ),
    NotOffered(
        "Restoring files or single VMs from the journal",
        "Start a failover test and copy what you need from its VMs.",
        (
            ("/flrs", BOTH),
            ("/flrs/{rest:path}", BOTH),
            ("/vms/{vm_id}/Restore", "POST"),
            ("/vms/{vm_id}/RestoreCommit", "POST"),
            ("/vms/{vm_id}/RestoreRollback", "POST"),
        ),
    ),
    NotOffered(
        "Installing and changing VRAs",
        "Each site's appliance is part of Farshore and runs by itself: `farshore site run`.",
        (("/vras", "POST"), ("/vras/{vra_id}", "POST PUT DELETE"), ("/vras/{vra_id}/{rest:path}", BOTH)),
    ),
    NotOffered(
        "Sites in public clouds",
        "A site runs on KVM, on machines of a cloud as well as on your own.",
        (("/virtualizationsites/{site_id}/publiccloud/{rest:path}", READ),),
    ),
    NotOffered(
        "Handling of scripts' files over the API",
        "Scripts are files in a folder of the site; what they printed stands in the recovery report.",
        (("/recoveryScripts/{rest:path}", BOTH),),
    ),
    NotOffered("Encryption detection", "None is needed to protect VMs.", (("/encryptionDetection/{rest:path}", BOTH),)),
    NotOffered(
        "A licence, and the reporting of its use",
        "Farshore needs no licence.",
        (("/license", "PUT DELETE"), ("/localsite/billing/sendUsage", "POST")),
    ),
    NotOffered("A login banner", "Show it where people sign in.", (("/localsite/settings/loginBanner", "PUT"),)),
    NotOffered(
        "Sessions of a cloud service provider's portal",
        "Sign in with an account that is bound to VPGs.",
        (("/zsspsessions", BOTH), ("/zsspsessions/{rest:path}", BOTH)),
    ),
)
